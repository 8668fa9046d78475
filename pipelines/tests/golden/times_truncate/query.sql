-- FLOOR and CEIL of timestamps, dates and times with a zone.
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3),
  ltz TIMESTAMP_LTZ(3),
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 TIMESTAMP(3),
  f2 TIMESTAMP(3),
  f3 TIMESTAMP(3),
  f4 TIMESTAMP(3),
  f5 TIMESTAMP(3),
  f6 TIMESTAMP_LTZ(3),
  f7 TIMESTAMP_LTZ(3),
  f8 DATE,
  f9 DATE,
  f10 TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       FLOOR(ts TO HOUR),
       CEIL(ts TO MINUTE),
       FLOOR(ts TO QUARTER),
       CEIL(ts TO WEEK),
       FLOOR(ts TO YEAR),
       FLOOR(ltz TO DAY),
       CEIL(ltz TO MONTH),
       FLOOR(CAST(ts AS DATE) TO MONTH),
       CEIL(CAST(ts AS DATE) TO YEAR),
       FLOOR(ts TO SECOND)
FROM ev;
