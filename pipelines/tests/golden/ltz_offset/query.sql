-- A window with an offset, in a zone a quarter of an hour off.
SET 'table.local-time-zone' = 'Australia/Eucla';

CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ms BIGINT,
  ts AS TO_TIMESTAMP_LTZ(ms, 3),
  WATERMARK FOR ts AS ts - INTERVAL '10' MINUTE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  wt TIMESTAMP_LTZ(3),
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, window_end, CAST(window_time AS TIMESTAMP_LTZ(3)), COUNT(*), SUM(v)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '1' HOUR, INTERVAL '20' MINUTE))
GROUP BY k, window_start, window_end, window_time;
