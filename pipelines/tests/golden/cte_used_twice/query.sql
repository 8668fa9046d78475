-- A common table twice, in a union.
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
  what STRING,
  k INT,
  x BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
WITH g AS (SELECT k, COUNT(*) AS n, SUM(v) AS s FROM ev GROUP BY k)
SELECT 'count', k, n FROM g
UNION ALL
SELECT 'sum', k, s FROM g WHERE s > 50;
