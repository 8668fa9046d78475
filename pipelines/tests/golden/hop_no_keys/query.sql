-- Overlapping windows, one group each, before and after the epoch.
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
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  n BIGINT,
  nv BIGINT,
  s BIGINT,
  lo BIGINT,
  hi DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT window_start, window_end, COUNT(*), COUNT(v), SUM(v), MIN(v), MAX(d)
FROM TABLE(HOP(TABLE ev, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '20' SECOND))
GROUP BY window_start, window_end;
