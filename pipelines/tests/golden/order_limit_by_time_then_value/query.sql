-- Ordered by time, then by another column.
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
  id INT,
  k INT,
  ts TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, ts FROM ev WHERE k > 0 ORDER BY ts, id DESC;
