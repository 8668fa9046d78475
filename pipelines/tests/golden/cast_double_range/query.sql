-- A double outside of the whole numbers.
CREATE TABLE ev (
  id INT,
  d DOUBLE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 BIGINT,
  f3 SMALLINT,
  f4 TINYINT,
  f5 DECIMAL(10, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CAST(d AS INT),
       CAST(d AS BIGINT),
       CAST(d AS SMALLINT),
       CAST(d AS TINYINT),
       CAST(d AS DECIMAL(10, 2))
FROM ev;
