-- Keys of doubles and decimals.
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
  d DOUBLE,
  p DECIMAL(10, 1),
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT d, p, COUNT(*)
FROM (SELECT FLOOR(d / 10) AS d, CAST(FLOOR(p / 40) AS DECIMAL(10, 1)) AS p FROM ev)
GROUP BY d, p;
