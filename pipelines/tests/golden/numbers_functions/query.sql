-- Powers, logarithms, angles.
CREATE TABLE ev (
  id INT,
  a INT,
  d DOUBLE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 DOUBLE,
  f2 DOUBLE,
  f3 DOUBLE,
  f4 DOUBLE,
  f5 DOUBLE,
  f6 DOUBLE,
  f7 DOUBLE,
  f8 DOUBLE,
  f9 INT,
  f10 INT,
  f11 DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       POWER(d, 2),
       POWER(2, a % 10),
       SQRT(ABS(d)),
       EXP(d / 10),
       LN(ABS(d) + 1),
       LOG10(ABS(d) + 1),
       SIN(d),
       COS(d),
       GREATEST(a, 5, 10),
       LEAST(a, 5, 10),
       GREATEST(d, 1.5)
FROM ev;
