-- Decimal arithmetic: precision and scale.
CREATE TABLE ev (
  id INT,
  p DECIMAL(10, 2),
  q DECIMAL(6, 3),
  a INT,
  l BIGINT,
  d DOUBLE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 DECIMAL(12, 3),
  f2 DECIMAL(12, 3),
  f3 DECIMAL(17, 5),
  f4 DECIMAL(13, 2),
  f5 DECIMAL(21, 2),
  f6 DECIMAL(11, 2),
  f7 DECIMAL(10, 2),
  f8 DECIMAL(22, 2),
  f9 DOUBLE,
  f10 DOUBLE,
  f11 BOOLEAN,
  f12 BOOLEAN,
  f13 BOOLEAN,
  f14 DECIMAL(10, 2),
  f15 DECIMAL(10, 0),
  f16 DECIMAL(10, 0),
  f17 DECIMAL(10, 1),
  f18 DECIMAL(9, 0),
  f19 DECIMAL(10, 2),
  f20 DECIMAL(6, 3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       p + q,
       p - q,
       p * q,
       p + a,
       p * 2,
       p + 0.5,
       -p,
       p + l,
       p + d,
       p * d,
       p > q,
       p = 2.5,
       p >= a,
       ABS(p),
       CEIL(p),
       FLOOR(p),
       ROUND(p, 1),
       ROUND(p),
       SIGN(p),
       MOD(p, q)
FROM ev;
