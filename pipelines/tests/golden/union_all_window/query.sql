-- A window over the union of two tables.
CREATE TABLE web (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' HOUR
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');
CREATE TABLE app (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' HOUR
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/other.json', 'format' = 'json');

CREATE VIEW everywhere AS SELECT k, v, ts FROM web UNION ALL SELECT k, v + 1000, ts FROM app;

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  n BIGINT,
  s BIGINT,
  hi BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, COUNT(*), SUM(v), MAX(v)
FROM TABLE(TUMBLE(TABLE everywhere, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;
