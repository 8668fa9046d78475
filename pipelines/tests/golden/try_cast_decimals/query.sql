-- TRY_CAST of text to decimals and doubles.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 DECIMAL(6, 2),
  f2 DECIMAL(10, 0),
  f3 DOUBLE,
  f4 FLOAT,
  f5 INT,
  f6 SMALLINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       TRY_CAST(s AS DECIMAL(6, 2)),
       TRY_CAST(s AS DECIMAL(10, 0)),
       TRY_CAST(s AS DOUBLE),
       TRY_CAST(s AS FLOAT),
       TRY_CAST(s AS INT),
       TRY_CAST(s AS SMALLINT)
FROM ev;
