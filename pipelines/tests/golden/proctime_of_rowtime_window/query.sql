-- The processing time of a window of event time.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  n BIGINT,
  later BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, TUMBLE_START(ts, INTERVAL '10' SECOND), COUNT(*), TUMBLE_PROCTIME(ts, INTERVAL '10' SECOND) > TO_TIMESTAMP_LTZ(0, 3)
FROM ev
GROUP BY k, TUMBLE(ts, INTERVAL '10' SECOND);
