-- SUM and AVG of distinct values.
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
  s BIGINT,
  a BIGINT,
  m BIGINT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, SUM(DISTINCT v), AVG(DISTINCT v), MAX(DISTINCT v), COUNT(DISTINCT c)
FROM ev
GROUP BY k;
