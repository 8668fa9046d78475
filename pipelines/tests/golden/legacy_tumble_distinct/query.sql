-- Distinct aggregates over a group window.
CREATE TABLE ev (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  cs BIGINT,
  sv BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, TUMBLE_START(ts, INTERVAL '20' SECOND), COUNT(DISTINCT c), SUM(DISTINCT v)
FROM ev
GROUP BY k, TUMBLE(ts, INTERVAL '20' SECOND);
