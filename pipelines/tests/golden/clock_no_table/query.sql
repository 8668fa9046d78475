-- The clock without a table.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  a BOOLEAN,
  b BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT CURRENT_TIMESTAMP > TO_TIMESTAMP_LTZ(0, 3), CURRENT_DATE > DATE '2020-01-01';
