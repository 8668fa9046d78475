-- In the order of the time of a window.
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
  n BIGINT,
  w TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, COUNT(*), window_time
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY k, window_start, window_end, window_time
ORDER BY window_time, k;
