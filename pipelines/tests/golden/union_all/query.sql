-- Rows of two tables, equal ones kept.
CREATE TABLE web (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');
CREATE TABLE app (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/other.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  c STRING,
  origin STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, c, 'web' FROM web WHERE v > 0
UNION ALL
SELECT k, c, 'app' FROM app
UNION ALL
SELECT k + 100, UPPER(c), 'web' FROM web;
