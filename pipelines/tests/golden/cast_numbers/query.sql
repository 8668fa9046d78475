-- CAST between kinds of numbers: cuts, wraps around, rounds decimals.
CREATE TABLE ev (
  id INT,
  a INT,
  l BIGINT,
  d DOUBLE,
  p DECIMAL(10, 3),
  x BOOLEAN
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 TINYINT,
  f2 SMALLINT,
  f3 BIGINT,
  f4 DOUBLE,
  f5 FLOAT,
  f6 DECIMAL(12, 2),
  f7 DECIMAL(3, 1),
  f8 BOOLEAN,
  f9 INT,
  f10 DOUBLE,
  f11 INT,
  f12 BIGINT,
  f13 FLOAT,
  f14 DECIMAL(10, 2),
  f15 INT,
  f16 DOUBLE,
  f17 DECIMAL(10, 1),
  f18 DECIMAL(5, 2),
  f19 INT,
  f20 DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CAST(a AS TINYINT),
       CAST(a AS SMALLINT),
       CAST(a AS BIGINT),
       CAST(a AS DOUBLE),
       CAST(a AS FLOAT),
       CAST(a AS DECIMAL(12, 2)),
       CAST(a AS DECIMAL(3, 1)),
       CAST(a AS BOOLEAN),
       CAST(l AS INT),
       CAST(l AS DOUBLE),
       CAST(d AS INT),
       CAST(d AS BIGINT),
       CAST(d AS FLOAT),
       CAST(d AS DECIMAL(10, 2)),
       CAST(p AS INT),
       CAST(p AS DOUBLE),
       CAST(p AS DECIMAL(10, 1)),
       CAST(p AS DECIMAL(5, 2)),
       CAST(x AS INT),
       CAST(x AS DOUBLE)
FROM ev;
