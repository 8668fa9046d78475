-- The column that is sorted by is not selected.
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
  id INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id FROM ev ORDER BY v DESC, ts LIMIT 6;
