-- The least and greatest of sums that move both ways.
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
  half INT,
  lo BIGINT,
  hi BIGINT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT MOD(k, 2), MIN(s), MAX(s), COUNT(s)
FROM (SELECT k, SUM(v) AS s FROM ev GROUP BY k)
GROUP BY MOD(k, 2);
