-- LAG by one and by three.
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
  b BIGINT,
  c STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k,
       LAG(v) OVER w, LAG(v, 3) OVER w, LAG(c, 2) OVER w
FROM ev
WINDOW w AS (PARTITION BY k ORDER BY ts);
