-- The last rows of a key, by event time.
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
  s BIGINT,
  n BIGINT,
  m DOUBLE,
  lo STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k,
       SUM(v) OVER w, COUNT(*) OVER w, AVG(d) OVER w, MIN(c) OVER w
FROM ev
WINDOW w AS (PARTITION BY k ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW);
