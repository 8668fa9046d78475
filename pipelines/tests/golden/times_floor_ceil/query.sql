-- FLOOR and CEIL of times to a unit.
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 TIMESTAMP(3),
  f2 TIMESTAMP(3),
  f3 TIMESTAMP(3),
  f4 TIMESTAMP(3),
  f5 TIMESTAMP(3),
  f6 TIMESTAMP(3),
  f7 TIMESTAMP(3),
  f8 TIMESTAMP(3),
  f9 TIMESTAMP(3),
  f10 TIMESTAMP(3),
  f11 TIMESTAMP(3),
  f12 TIMESTAMP(3),
  f13 TIMESTAMP(3),
  f14 TIMESTAMP(3),
  f15 DATE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       FLOOR(ts TO SECOND),
       FLOOR(ts TO MINUTE),
       FLOOR(ts TO HOUR),
       FLOOR(ts TO DAY),
       FLOOR(ts TO WEEK),
       FLOOR(ts TO MONTH),
       FLOOR(ts TO QUARTER),
       FLOOR(ts TO YEAR),
       CEIL(ts TO SECOND),
       CEIL(ts TO MINUTE),
       CEIL(ts TO HOUR),
       CEIL(ts TO DAY),
       CEIL(ts TO MONTH),
       CEIL(ts TO YEAR),
       FLOOR(CAST(ts AS DATE) TO MONTH)
FROM ev;
