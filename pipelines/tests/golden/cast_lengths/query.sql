-- CHAR, VARCHAR and BINARY cut and fill.
CREATE TABLE ev (
  id INT,
  s STRING,
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 STRING,
  f4 STRING,
  f5 BYTES,
  f6 BYTES,
  f7 BYTES,
  f8 STRING,
  f9 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CAST(s AS CHAR(4)),
       CAST(s AS VARCHAR(4)),
       CAST(n AS CHAR(3)),
       CAST(n AS VARCHAR(2)),
       CAST(s AS BYTES),
       CAST(s AS BINARY(4)),
       CAST(s AS VARBINARY(4)),
       CAST(CAST(s AS BYTES) AS STRING),
       CAST(s AS CHAR(8)) || '|'
FROM ev;
