-- A condition before a session in GROUP BY.
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
  we TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT e.k, SESSION_START(e.ts, INTERVAL '5' SECOND), SESSION_END(e.ts, INTERVAL '5' SECOND), COUNT(*)
FROM ev AS e
WHERE e.v > 0
GROUP BY e.k, SESSION(e.ts, INTERVAL '5' SECOND);
