-- ROUND, TRUNCATE, CEIL, FLOOR, SIGN, ABS of each kind of number.
CREATE TABLE ev (
  id INT,
  d DOUBLE,
  n INT,
  p DECIMAL(10, 2),
  l BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 DOUBLE,
  f2 DOUBLE,
  f3 INT,
  f4 DOUBLE,
  f5 DOUBLE,
  f6 INT,
  f7 DECIMAL(20, 2),
  f8 DECIMAL(20, 2),
  f9 DECIMAL(20, 0),
  f10 DECIMAL(20, 0),
  f11 DECIMAL(20, 1),
  f12 DECIMAL(20, 1),
  f13 INT,
  f14 BIGINT,
  f15 BIGINT,
  f16 INT,
  f17 DOUBLE,
  f18 DOUBLE,
  f19 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       ROUND(d, 1),
       ROUND(d),
       ROUND(n, -1),
       TRUNCATE(d, 1),
       TRUNCATE(d),
       TRUNCATE(n, -1),
       ABS(p),
       SIGN(p),
       CEIL(p),
       FLOOR(p),
       ROUND(p, 1),
       TRUNCATE(p, 1),
       ABS(n),
       ABS(l),
       SIGN(l),
       SIGN(n),
       CEIL(d),
       FLOOR(d),
       CAST(FLOOR(p) AS STRING)
FROM ev;
