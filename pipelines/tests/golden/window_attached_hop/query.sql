-- A second aggregation over overlapping windows, through a view, with keys.
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

CREATE VIEW pairs AS
SELECT k, c, window_start, window_end, COUNT(*) AS n, SUM(d) AS d
FROM TABLE(HOP(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '30' SECOND))
GROUP BY k, c, window_start, window_end;

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  cs BIGINT,
  n BIGINT,
  d DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, window_end, COUNT(DISTINCT c), SUM(n), MAX(d)
FROM pairs
WHERE n > 1
GROUP BY k, window_start, window_end;
