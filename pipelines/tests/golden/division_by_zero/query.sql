-- Doubles divide by zero.
CREATE TABLE ev (
  id INT,
  d DOUBLE,
  f FLOAT,
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 DOUBLE,
  f2 DOUBLE,
  f3 DOUBLE,
  f4 FLOAT,
  f5 FLOAT,
  f6 DOUBLE,
  f7 DOUBLE,
  f8 DOUBLE,
  f9 INT,
  f10 DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       d / 0e0,
       d / d,
       n / d,
       f / f,
       f * f,
       f + d,
       SQRT(d - 5),
       LN(d),
       n / 2,
       IF(n = 0, 0e0, 1e0 / n)
FROM ev;
