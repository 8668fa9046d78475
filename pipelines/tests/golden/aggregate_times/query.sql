-- MIN and MAX of times and dates.
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
  ws TIMESTAMP(3),
  lo TIMESTAMP(3),
  hi TIMESTAMP(3),
  day_lo DATE,
  day_hi DATE,
  ltz TIMESTAMP_LTZ(3),
  later TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start,
       MIN(ts), MAX(ts), MIN(CAST(ts AS DATE)), MAX(DATE '2026-01-01'), MAX(TO_TIMESTAMP_LTZ(v, 3)), MIN(ts + INTERVAL '1' HOUR)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;
