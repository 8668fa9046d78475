-- The clock as an argument of aggregates.
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
  n BIGINT,
  m BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, COUNT(p), MAX(p) >= MIN(p) FROM ev GROUP BY k;
