-- Further functions of numbers.
CREATE TABLE ev (
  id INT,
  a INT,
  d DOUBLE,
  p DECIMAL(10, 2)
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
  f11 STRING,
  f12 STRING,
  f13 DOUBLE,
  f14 DOUBLE,
  f15 DECIMAL(10, 1)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       LOG2(ABS(d) + 1),
       LOG(2, ABS(d) + 1),
       TAN(d),
       ATAN(d),
       ATAN2(d, 2.0E0),
       ASIN(d / 1e11),
       DEGREES(d),
       RADIANS(d),
       PI(),
       E(),
       BIN(a),
       HEX(a),
       TRUNCATE(d, 1),
       TRUNCATE(d),
       TRUNCATE(p, 1)
FROM ev;
