-- window_time carried into a second, longer window.
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

CREATE VIEW tens AS
SELECT k, window_time AS rt, COUNT(*) AS n, SUM(v) AS s
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY k, window_start, window_end, window_time;

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  parts BIGINT,
  n BIGINT,
  s BIGINT,
  most BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, window_end, COUNT(*), SUM(n), SUM(s), MAX(n)
FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(rt), INTERVAL '30' SECOND))
GROUP BY k, window_start, window_end;
