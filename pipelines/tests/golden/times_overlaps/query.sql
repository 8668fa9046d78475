-- OVERLAPS of periods.
CREATE TABLE ev (
  id INT,
  a TIMESTAMP(3),
  b TIMESTAMP(3),
  c TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BOOLEAN,
  f2 BOOLEAN,
  f3 BOOLEAN,
  f4 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       (a, b) OVERLAPS (b, c),
       (a, c) OVERLAPS (b, b),
       (a, INTERVAL '1' HOUR) OVERLAPS (b, INTERVAL '2' DAY),
       (a, a) OVERLAPS (a, c)
FROM ev;
