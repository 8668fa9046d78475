-- A session for each value of an expression.
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
  c STRING,
  ws TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT UPPER(c), SESSION_START(ts, INTERVAL '5' SECOND), COUNT(*)
FROM ev
GROUP BY UPPER(c), SESSION(ts, INTERVAL '5' SECOND);
