-- Percentiles of groups whose rows are taken back.
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
  m INT,
  a DOUBLE,
  b DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT MOD(k, 2), PERCENTILE(s, 0.5), PERCENTILE(n, 0.9)
FROM (SELECT k, c, SUM(v) AS s, COUNT(*) AS n FROM ev GROUP BY k, c) AS t
GROUP BY MOD(k, 2);
