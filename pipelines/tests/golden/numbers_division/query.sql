-- Division by type; a double by zero is infinite or not a number.
CREATE TABLE ev (
  id INT,
  a INT,
  b INT,
  d DOUBLE,
  e DOUBLE,
  p DECIMAL(10, 2),
  q DECIMAL(6, 3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 INT,
  f3 DECIMAL(17, 6),
  f4 DOUBLE,
  f5 DOUBLE,
  f6 DOUBLE,
  f7 DECIMAL(20, 9),
  f8 DECIMAL(21, 13),
  f9 DECIMAL(21, 13),
  f10 DECIMAL(20, 7),
  f11 INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       a / b,
       a / 2,
       a / 2.0,
       a / CAST(b AS DOUBLE),
       d / e,
       d / 3,
       p / q,
       p / 3,
       p / b,
       a / q,
       MOD(a, 3)
FROM ev;
