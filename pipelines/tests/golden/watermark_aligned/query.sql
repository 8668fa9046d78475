-- A source that is alone in its group waits for no one.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH (
  'connector' = 'filesystem',
  'path' = '${CASE}/input.json',
  'format' = 'json',
  'scan.watermark.alignment.group' = 'g',
  'scan.watermark.alignment.max-drift' = '1 min',
  'scan.watermark.alignment.update-interval' = '100 ms'
);

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY k, window_start, window_end;
