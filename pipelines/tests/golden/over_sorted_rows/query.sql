-- Each row has an answer of its own, rows that sort equal in the order of their arrival.
-- Arrival decides: rows sort equal.
CREATE TABLE ev (
  id INT,
  k INT,
  o INT,
  v BIGINT,
  c STRING,
  d DOUBLE,
  ts TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  k INT,
  s BIGINT,
  lo BIGINT,
  hi BIGINT,
  m DOUBLE,
  c STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, SUM(v) OVER w, MIN(v) OVER w, MAX(v) OVER w, AVG(d) OVER w, MAX(c) OVER w
FROM ev
WINDOW w AS (PARTITION BY k ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);
