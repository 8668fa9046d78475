-- The window alone.
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
  ws TIMESTAMP(3),
  n BIGINT,
  hi DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT TUMBLE_START(ts, INTERVAL '20' SECOND), COUNT(*), MAX(d)
FROM ev
GROUP BY TUMBLE(ts, INTERVAL '20' SECOND);
