-- Integers wrap around.
CREATE TABLE ev (
  id INT,
  t TINYINT,
  s SMALLINT,
  n INT,
  l BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 INT,
  f3 INT,
  f4 INT,
  f5 BIGINT,
  f6 BIGINT,
  f7 BIGINT,
  f8 BIGINT,
  f9 TINYINT,
  f10 SMALLINT,
  f11 INT,
  f12 INT,
  f13 INT,
  f14 BIGINT,
  f15 INT,
  f16 BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       n + 1,
       n - 1,
       n * 2,
       -n,
       l + 1,
       l * 3,
       -l,
       n + l,
       t + t,
       s * s,
       t + n,
       n / 7,
       n % 7,
       l / 10,
       MOD(l, 7),
       MOD(n, l + 5)
FROM ev;
