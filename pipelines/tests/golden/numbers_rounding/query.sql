-- Rounding of doubles and whole numbers: halves go away from zero.
CREATE TABLE ev (
  id INT,
  a INT,
  d DOUBLE,
  f FLOAT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 DOUBLE,
  f2 DOUBLE,
  f3 DOUBLE,
  f4 INT,
  f5 DOUBLE,
  f6 DOUBLE,
  f7 DOUBLE,
  f8 INT,
  f9 FLOAT,
  f10 DOUBLE,
  f11 DOUBLE,
  f12 DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       ROUND(d),
       ROUND(d, 1),
       ROUND(d, 2),
       ROUND(a, -2),
       CEIL(d),
       CEILING(d),
       FLOOR(d),
       FLOOR(a),
       CEIL(f),
       ABS(d),
       SIGN(d),
       -d
FROM ev;
