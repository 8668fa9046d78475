-- Windows over TIMESTAMP_LTZ made of milliseconds: bounds are TIMESTAMP, window_time is TIMESTAMP_LTZ.
CREATE TABLE ev (
  k INT,
  v BIGINT,
  ts BIGINT,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  wt TIMESTAMP_LTZ(3),
  n BIGINT,
  last_time TIMESTAMP_LTZ(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, window_end, window_time, COUNT(*), MAX(rt)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY k, window_start, window_end, window_time;
