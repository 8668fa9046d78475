-- About how many values differ, of which none comes twice, since the beginning.
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
  ds BIGINT,
  ids BIGINT,
  ps BIGINT,
  few BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT
  id,
  APPROX_COUNT_DISTINCT(d) OVER w,
  APPROX_COUNT_DISTINCT(id) OVER w,
  APPROX_COUNT_DISTINCT(p) OVER w,
  COUNT(*) OVER w
FROM ev
WINDOW w AS (PARTITION BY k ORDER BY ts);
