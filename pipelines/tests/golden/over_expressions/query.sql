-- Expressions around OVER and over its arguments, by an expression as key.
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
  id INT,
  k INT,
  a BIGINT,
  b DOUBLE,
  c STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k,
       SUM(v * 2) OVER w + 1, d - AVG(d) OVER w, c || '/' || CAST(COUNT(*) OVER w AS STRING)
FROM ev
WHERE c IS NOT NULL
WINDOW w AS (PARTITION BY UPPER(c) ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW);
