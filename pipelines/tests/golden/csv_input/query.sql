-- Rows from CSV, with quotes and empty fields.
CREATE TABLE ev (
  id INT,
  name STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  b BOOLEAN,
  day_of DATE,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.csv', 'format' = 'csv');

CREATE TABLE answer (
  id INT,
  name STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  b BOOLEAN,
  day_of DATE,
  ts TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT * FROM ev;
