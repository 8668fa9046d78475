-- Group sessions of the clock at the end of input.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  p AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, SESSION_START(p, INTERVAL '1' HOUR), SESSION_END(p, INTERVAL '1' HOUR), COUNT(*)
FROM ev
GROUP BY k, SESSION(p, INTERVAL '1' HOUR);
