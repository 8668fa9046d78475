-- Keys beyond those of the session.
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
  c STRING,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, c, window_start, window_end, COUNT(*)
FROM TABLE(SESSION(TABLE ev PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' SECOND))
GROUP BY k, c, window_start, window_end;
