-- Subquery aliases as keys.
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
  bucket STRING,
  n BIGINT,
  total DECIMAL(38, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT bucket, COUNT(*), SUM(p)
FROM (SELECT CASE WHEN p < 30 THEN 'low' WHEN p < 70 THEN 'mid' WHEN p IS NULL THEN 'none' ELSE 'high' END AS bucket, p FROM ev)
GROUP BY bucket;
