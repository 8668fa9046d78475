-- All rows of a key so far, row by row: equal times in the order of arrival.
-- Arrival decides: rows of one time stay in the order in which they came.
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
  hi DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k,
       SUM(v) OVER w, COUNT(v) OVER w, MAX(d) OVER w
FROM ev
WINDOW w AS (PARTITION BY k ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);
