-- AND, OR, NOT of nulls.
CREATE TABLE ev (
  id INT,
  a BOOLEAN,
  b BOOLEAN,
  n INT
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
  f14 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       a AND b,
       a OR b,
       NOT a,
       a IS TRUE,
       a IS NOT TRUE,
       a IS FALSE,
       a IS UNKNOWN,
       a = b,
       a <> b,
       a IS NOT DISTINCT FROM b,
       n > 0 AND a,
       n > 0 OR a,
       a IS NULL OR b IS NULL,
       COALESCE(a, b, FALSE)
FROM ev;
