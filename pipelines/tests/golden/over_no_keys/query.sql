-- Without PARTITION BY.
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
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k,
       COUNT(*) OVER w, SUM(v) OVER w
FROM ev
WINDOW w AS (ORDER BY ts ROWS BETWEEN 4 PRECEDING AND CURRENT ROW);
