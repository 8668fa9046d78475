-- LN, LOG, LOG2, LOG10, EXP, POWER, SQRT.
CREATE TABLE ev (
  id INT,
  d DOUBLE,
  n INT
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
  f9 DOUBLE,
  f10 DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       LN(d),
       LOG(d),
       LOG(2, d),
       LOG2(d),
       LOG10(d),
       EXP(n),
       POWER(d, n),
       POWER(n, 0.5),
       SQRT(d),
       LOG(n + 1, d)
FROM ev;
