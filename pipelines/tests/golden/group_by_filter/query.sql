-- FILTER on each aggregate by itself.
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
  s BIGINT,
  m BIGINT,
  z DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k,
       COUNT(*) FILTER (WHERE c = 'a'),
       COUNT(*) FILTER (WHERE v > 20 OR v IS NULL),
       SUM(v) FILTER (WHERE d > 0),
       MAX(v) FILTER (WHERE c IS NOT NULL),
       MIN(d) FILTER (WHERE FALSE)
FROM ev
GROUP BY k;
