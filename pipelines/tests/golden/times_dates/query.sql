-- TO_DATE and OVERLAPS.
CREATE TABLE ev (
  id INT,
  s STRING,
  u STRING,
  ts TIMESTAMP(3),
  us TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 DATE,
  f2 DATE,
  f3 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       TO_DATE(s),
       TO_DATE(NULLIF(u, 'x'), 'dd.MM.yyyy HH:mm'),
       (ts, ts + INTERVAL '2' HOUR) OVERLAPS (us, us + INTERVAL '1' DAY)
FROM ev;
