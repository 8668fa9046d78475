-- TRY_CAST from text: null where the text is no such value.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 TINYINT,
  f2 SMALLINT,
  f3 INT,
  f4 BIGINT,
  f5 DOUBLE,
  f6 FLOAT,
  f7 DECIMAL(8, 2),
  f8 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       TRY_CAST(s AS TINYINT),
       TRY_CAST(s AS SMALLINT),
       TRY_CAST(s AS INT),
       TRY_CAST(s AS BIGINT),
       TRY_CAST(s AS DOUBLE),
       TRY_CAST(s AS FLOAT),
       TRY_CAST(s AS DECIMAL(8, 2)),
       TRY_CAST(s AS BOOLEAN)
FROM ev;
