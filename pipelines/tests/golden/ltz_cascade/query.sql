-- A window over the time of a window, in a zone.
SET 'table.local-time-zone' = 'Europe/London';

CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ms BIGINT,
  ts AS TO_TIMESTAMP_LTZ(ms, 3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE VIEW hours AS
SELECT k, window_time AS wt, SUM(v) AS s
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '6' HOUR))
GROUP BY k, window_start, window_end, window_time;

CREATE TABLE answer (
  ws TIMESTAMP(3),
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT window_start, COUNT(*), SUM(s)
FROM TABLE(TUMBLE(TABLE hours, DESCRIPTOR(wt), INTERVAL '1' DAY))
GROUP BY window_start, window_end;
