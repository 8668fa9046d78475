-- Two event times: one is cast, so that the table has one.
CREATE TABLE ev (
  id INT,
  k INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '60' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  window_time TIMESTAMP(3),
  ts TIMESTAMP(3),
  same TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, window_time, CAST(ts AS TIMESTAMP(3)), ts + INTERVAL '0' SECOND
FROM TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND);
