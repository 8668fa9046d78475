-- Columns that the clock fills.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  seen AS CURRENT_TIMESTAMP,
  there AS LOCALTIMESTAMP,
  today AS CURRENT_DATE,
  s AS UNIX_TIMESTAMP(),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  a BOOLEAN,
  b BOOLEAN,
  c BOOLEAN,
  d BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, seen > TO_TIMESTAMP_LTZ(0, 3), there > TIMESTAMP '2020-01-01 00:00:00', today > DATE '2020-01-01', s > 1577836800
FROM ev;
