-- Groups by a sum that moves both ways.
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
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, c, s
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY s DESC, c) AS place
  FROM (SELECT k, c, SUM(v) AS s, COUNT(*) AS n FROM ev GROUP BY k, c)
)
WHERE place <= 2;
