-- CASE, IF, COALESCE, NULLIF, IFNULL.
CREATE TABLE ev (
  id INT,
  a INT,
  b INT,
  s STRING,
  d DOUBLE,
  p DECIMAL(10, 2)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 DOUBLE,
  f4 DECIMAL(12, 2),
  f5 STRING,
  f6 INT,
  f7 STRING,
  f8 INT,
  f9 INT,
  f10 STRING,
  f11 DECIMAL(12, 2),
  f12 INT,
  f13 INT,
  f14 STRING,
  f15 INT,
  f16 STRING,
  f17 BOOLEAN,
  f18 INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CASE WHEN a > 2 THEN 'big' WHEN a > 1 THEN 'middle' ELSE 'small' END,
       CASE a WHEN 1 THEN 'one' WHEN 2 THEN 'two' END,
       CASE WHEN a > 2 THEN a ELSE d END,
       CASE WHEN a = 1 THEN p WHEN a = 2 THEN b END,
       CASE WHEN s IS NULL THEN NULL ELSE UPPER(s) END,
       CASE WHEN a IS NULL OR b IS NULL THEN -1 WHEN a = b THEN 0 ELSE a / b END,
       IF(a > 2, 'yes', 'no'),
       IF(a IS NULL, 0, a * 10),
       COALESCE(a, b, 0),
       COALESCE(s, 'none'),
       COALESCE(p, 0),
       COALESCE(CAST(NULL AS INT), b),
       NULLIF(a, b),
       NULLIF(s, 'a'),
       IFNULL(a, 5),
       IFNULL(s, 'was null'),
       CASE WHEN a > 1 THEN TRUE ELSE FALSE END,
       GREATEST(a, b)
FROM ev;
