-- A window aggregation without aggregates.
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
  c STRING,
  ws TIMESTAMP(3),
  wt TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, c, window_start, window_time
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY window_start, window_end, window_time, k, c;
