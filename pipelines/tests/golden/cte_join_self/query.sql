-- A common table joined with itself.
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
  diff BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
WITH early AS (SELECT k, COUNT(*) AS n FROM ev WHERE id < 20 GROUP BY k),
     later AS (SELECT k, COUNT(*) AS n FROM ev WHERE id >= 20 GROUP BY k)
SELECT e.k, COALESCE(l.n, 0) - e.n FROM early AS e LEFT JOIN later AS l ON e.k = l.k;
