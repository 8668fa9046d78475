-- Every kind of aggregate over sessions.
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
  lo DOUBLE,
  hi STRING,
  av BIGINT,
  f BIGINT,
  sp DECIMAL(38, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, COUNT(DISTINCT c), MIN(d), MAX(c), AVG(v), COUNT(*) FILTER (WHERE v > 0), SUM(p)
FROM TABLE(SESSION(TABLE ev PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' SECOND))
GROUP BY k, window_start, window_end;
