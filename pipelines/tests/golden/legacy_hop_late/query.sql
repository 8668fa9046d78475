-- Late rows still count in windows that are open.
-- Arrival decides: rows are late.
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
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, HOP_START(ts, INTERVAL '10' SECOND, INTERVAL '30' SECOND), COUNT(*)
FROM ev
GROUP BY k, HOP(ts, INTERVAL '10' SECOND, INTERVAL '30' SECOND);
