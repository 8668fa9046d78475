-- Three aggregates on top of one another.
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
  parity BIGINT,
  ns BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT MOD(ks, 2), COUNT(*), SUM(n)
FROM (
  SELECT n, COUNT(*) AS ks
  FROM (SELECT k, COUNT(*) AS n FROM ev GROUP BY k)
  GROUP BY n
)
GROUP BY MOD(ks, 2);
