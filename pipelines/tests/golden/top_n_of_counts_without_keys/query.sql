-- The busiest groups of all.
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
  place BIGINT,
  k INT,
  c STRING,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT place, k, c, n
FROM (
  SELECT *, ROW_NUMBER() OVER (ORDER BY n DESC, k, c) AS place
  FROM (SELECT k, c, SUM(v) AS s, COUNT(*) AS n FROM ev GROUP BY k, c)
)
WHERE place <= 4;
