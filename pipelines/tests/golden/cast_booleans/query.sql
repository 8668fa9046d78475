-- BOOLEAN from and to everything.
CREATE TABLE ev (
  id INT,
  s STRING,
  n INT,
  b BOOLEAN,
  d DOUBLE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BOOLEAN,
  f2 BOOLEAN,
  f3 BOOLEAN,
  f4 INT,
  f5 BIGINT,
  f6 DOUBLE,
  f7 DECIMAL(3, 1),
  f8 STRING,
  f9 TINYINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CAST(s AS BOOLEAN),
       CAST(n AS BOOLEAN),
       CAST(d AS BOOLEAN),
       CAST(b AS INT),
       CAST(b AS BIGINT),
       CAST(b AS DOUBLE),
       CAST(b AS DECIMAL(3, 1)),
       CAST(b AS STRING),
       CAST(b AS TINYINT)
FROM ev;
