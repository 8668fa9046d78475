-- The last ten seconds of a key: rows of one time share the value.
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
  hi STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k,
       SUM(v) OVER w, COUNT(*) OVER w, AVG(d) OVER w, MAX(c) OVER w
FROM ev
WINDOW w AS (PARTITION BY k ORDER BY ts RANGE BETWEEN INTERVAL '10' SECOND PRECEDING AND CURRENT ROW);
