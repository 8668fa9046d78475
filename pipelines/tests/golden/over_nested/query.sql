-- OVER over the result of OVER, with another frame.
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
  before_it BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k,
       s, LAG(s) OVER (PARTITION BY k ORDER BY ts)
FROM (
  SELECT id, k, ts, SUM(v) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS s
  FROM ev
);
