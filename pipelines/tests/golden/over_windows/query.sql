-- OVER over the results of windows.
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

CREATE VIEW tens AS
SELECT k, window_start, window_time, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY k, window_start, window_end, window_time;

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  n BIGINT,
  more BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, n,
       n - LAG(n) OVER (PARTITION BY k ORDER BY window_time)
FROM tens;
