-- One distinct column under different filters.
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
  a BIGINT,
  b BIGINT,
  c BIGINT,
  d BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k,
       COUNT(DISTINCT v),
       COUNT(DISTINCT v) FILTER (WHERE c = 'a'),
       COUNT(DISTINCT v) FILTER (WHERE c <> 'a'),
       SUM(DISTINCT v) FILTER (WHERE d > 0)
FROM ev
GROUP BY k;
