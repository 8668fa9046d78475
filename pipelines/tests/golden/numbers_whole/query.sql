-- Whole-number arithmetic keeps its type, cuts toward zero and wraps around.
CREATE TABLE ev (
  id INT,
  a INT,
  b INT,
  l BIGINT,
  t TINYINT,
  s SMALLINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 INT,
  f3 INT,
  f4 INT,
  f5 INT,
  f6 INT,
  f7 INT,
  f8 INT,
  f9 INT,
  f10 INT,
  f11 BIGINT,
  f12 BIGINT,
  f13 BIGINT,
  f14 INT,
  f15 BIGINT,
  f16 INT,
  f17 BIGINT,
  f18 INT,
  f19 SMALLINT,
  f20 SMALLINT,
  f21 BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       a + b,
       a - b,
       a * b,
       a / b,
       a % b,
       MOD(a, b),
       -a,
       +a,
       a + 1,
       a * 1000,
       l + 1,
       l * 2,
       l / 3,
       MOD(l, 7),
       a + l,
       ABS(a),
       ABS(l),
       SIGN(a),
       t + s,
       t * s,
       a + 2147483648
FROM ev;
