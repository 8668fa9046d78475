-- An aggregate over the last rows.
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
  c STRING,
  ks BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT c, COUNT(*), SUM(v)
FROM (
  SELECT k, c, v, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS n FROM ev
)
WHERE n = 1
GROUP BY c;
