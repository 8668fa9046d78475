-- Comparisons across types, with nulls.
CREATE TABLE ev (
  id INT,
  a INT,
  b BIGINT,
  d DOUBLE,
  s STRING,
  t STRING,
  x BOOLEAN
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
  f15 BOOLEAN,
  f16 BOOLEAN,
  f17 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       a = b,
       a <> b,
       a <= b,
       a < d,
       a >= d,
       s = t,
       s < t,
       a IS NULL,
       a IS NOT NULL,
       a IS DISTINCT FROM b,
       s IS NOT DISTINCT FROM t,
       a BETWEEN 0 AND 5,
       a NOT BETWEEN b AND 5,
       a IN (1, 7, NULL),
       a NOT IN (1, 7),
       b IN (1, 3),
       x = TRUE
FROM ev;
