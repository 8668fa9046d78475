-- A window function alone: rows with their window.
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
  v BIGINT,
  ts TIMESTAMP(3),
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  wt TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, v, CAST(ts AS TIMESTAMP(3)), window_start, window_end, window_time
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))
WHERE v IS NOT NULL;
