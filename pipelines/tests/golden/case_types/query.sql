-- CASE of mixed types.
CREATE TABLE ev (
  id INT,
  n INT,
  l BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BIGINT,
  f2 DOUBLE,
  f3 DECIMAL(21, 2),
  f4 DOUBLE,
  f5 INT,
  f6 STRING,
  f7 BIGINT,
  f8 DOUBLE,
  f9 DECIMAL(12, 2),
  f10 DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CASE WHEN n = 1 THEN n ELSE l END,
       CASE WHEN n = 1 THEN l WHEN n = 2 THEN d END,
       CASE WHEN n = 1 THEN p ELSE l END,
       CASE WHEN n = 1 THEN p ELSE d END,
       CASE WHEN d > 1 THEN 1 ELSE 0 END,
       CASE s WHEN 'x' THEN 'ex' WHEN 'yy' THEN NULL ELSE s END,
       COALESCE(n, l),
       IF(n > 1, d, n),
       IF(n > 1, p, 0),
       NULLIF(d, 2.5)
FROM ev;
