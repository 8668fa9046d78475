-- CUMULATE around the epoch, with an offset.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  wt TIMESTAMP(3),
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, window_end, window_time, COUNT(*), SUM(v)
FROM TABLE(CUMULATE(TABLE ev, DESCRIPTOR(ts), INTERVAL '6' MINUTE, INTERVAL '30' MINUTE, INTERVAL '4' MINUTE))
GROUP BY k, window_start, window_end, window_time;
