-- Names given to the columns of a common table.
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
  a INT,
  b BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
WITH g (a, b) AS (SELECT k, MAX(v) FROM ev GROUP BY k)
SELECT a, b FROM g WHERE b IS NOT NULL;
