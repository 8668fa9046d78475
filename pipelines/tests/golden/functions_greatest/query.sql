-- GREATEST, LEAST, COALESCE, NULLIF, IFNULL, IF.
CREATE TABLE ev (
  id INT,
  n INT,
  m INT,
  s STRING,
  d DOUBLE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 INT,
  f3 STRING,
  f4 DOUBLE,
  f5 DOUBLE,
  f6 INT,
  f7 STRING,
  f8 INT,
  f9 INT,
  f10 STRING,
  f11 DOUBLE,
  f12 INT,
  f13 DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       GREATEST(n, m, 2),
       LEAST(n, m, 2),
       GREATEST(s, 'aa'),
       GREATEST(d, 0e0),
       LEAST(d, n),
       COALESCE(n, m, 0),
       COALESCE(s, 'none'),
       NULLIF(n, m),
       IFNULL(n, -1),
       IF(n > m, 'gt', 'le'),
       COALESCE(d, n),
       CASE WHEN n IS NULL THEN 0 WHEN n > 1 THEN 2 ELSE 1 END,
       CASE n WHEN 1 THEN d WHEN 2 THEN 2 ELSE 0.5e0 END
FROM ev;
