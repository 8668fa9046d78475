-- A second aggregation over the same window, by fewer keys.
CREATE TABLE ev (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  ks BIGINT,
  n BIGINT,
  most BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT window_start, window_end, COUNT(k), SUM(n), MAX(n)
FROM (
  SELECT k, c, window_start, window_end, COUNT(*) AS n
  FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))
  GROUP BY k, c, window_start, window_end
)
GROUP BY window_start, window_end;
