-- Sine and its kin.
CREATE TABLE ev (
  id INT,
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
  f9 DOUBLE,
  f10 DOUBLE,
  f11 DOUBLE,
  f12 DOUBLE,
  f13 DOUBLE,
  f14 DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       SIN(d),
       COS(d),
       TAN(d),
       SINH(d / 10),
       COSH(d / 1e9),
       TANH(d),
       COT(d + 0.1),
       ASIN(d),
       ACOS(d),
       ATAN(d),
       ATAN2(d, 3),
       DEGREES(d),
       RADIANS(d),
       PI() * E()
FROM ev;
