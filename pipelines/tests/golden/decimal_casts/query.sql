-- Decimals from and to text and doubles.
CREATE TABLE ev (
  id INT,
  s STRING,
  d DOUBLE,
  l BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 DECIMAL(6, 2),
  f2 DECIMAL(20, 5),
  f3 DECIMAL(5, 2),
  f4 DECIMAL(38, 18),
  f5 STRING,
  f6 BIGINT,
  f7 DOUBLE,
  f8 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       TRY_CAST(s AS DECIMAL(6, 2)),
       CAST(d AS DECIMAL(20, 5)),
       CAST(l AS DECIMAL(5, 2)),
       CAST(d AS DECIMAL(38, 18)),
       CAST(CAST(d AS DECIMAL(10, 3)) AS STRING),
       CAST(CAST(s AS DECIMAL(12, 3)) AS BIGINT),
       CAST(CAST(s AS DECIMAL(12, 3)) AS DOUBLE),
       CAST(CAST(s AS DECIMAL(12, 3)) AS BOOLEAN)
FROM ev;
