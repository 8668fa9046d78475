-- A group window in a zone.
SET 'table.local-time-zone' = 'Asia/Kathmandu';

CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ms BIGINT,
  ts AS TO_TIMESTAMP_LTZ(ms, 3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, TUMBLE_START(ts, INTERVAL '1' HOUR), TUMBLE_END(ts, INTERVAL '1' HOUR), COUNT(*)
FROM ev
GROUP BY k, TUMBLE(ts, INTERVAL '1' HOUR);
