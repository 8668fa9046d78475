-- A group whose values are all null.
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
  n BIGINT,
  nv BIGINT,
  s BIGINT,
  lo BIGINT,
  av BIGINT,
  ds BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, COUNT(*), COUNT(v), SUM(v), MIN(v), AVG(v), COUNT(DISTINCT v)
FROM (SELECT k, CASE WHEN k = 1 THEN v END AS v FROM ev)
GROUP BY k;
