-- BETWEEN, SYMMETRIC, IN, DISTINCT FROM.
CREATE TABLE ev (
  id INT,
  n INT,
  m INT,
  o INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BOOLEAN,
  f2 BOOLEAN,
  f3 BOOLEAN,
  f4 BOOLEAN,
  f5 BOOLEAN,
  f6 BOOLEAN,
  f7 BOOLEAN,
  f8 BOOLEAN,
  f9 BOOLEAN,
  f10 BOOLEAN,
  f11 BOOLEAN,
  f12 BOOLEAN,
  f13 BOOLEAN,
  f14 BOOLEAN,
  f15 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       n BETWEEN m AND o,
       n NOT BETWEEN m AND o,
       n BETWEEN SYMMETRIC m AND o,
       n NOT BETWEEN SYMMETRIC m AND o,
       n BETWEEN ASYMMETRIC m AND o,
       n IN (1, 3, 5),
       n NOT IN (1, 3, 5),
       s IN ('a', 'c'),
       n IS DISTINCT FROM m,
       n IS NOT DISTINCT FROM m,
       s BETWEEN 'a' AND 'b',
       (n > 1) IS TRUE,
       (n > 1) IS NOT FALSE,
       (n > m) IS UNKNOWN,
       NOT (n > m)
FROM ev;
