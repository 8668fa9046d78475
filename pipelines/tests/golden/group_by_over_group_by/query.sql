-- How many keys have how many rows: the inner counts are retracted.
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
  n BIGINT,
  ks BIGINT,
  PRIMARY KEY (n) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT n, COUNT(*) AS ks
FROM (SELECT k, COUNT(*) AS n FROM ev GROUP BY k)
GROUP BY n;
