-- WITH inside a subquery.
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
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, s
FROM (
  WITH inner_rows AS (SELECT k, v FROM ev WHERE v > 10)
  SELECT k, SUM(v) AS s FROM inner_rows GROUP BY k
)
WHERE s < 500;
