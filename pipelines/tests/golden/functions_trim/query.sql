-- LTRIM, RTRIM, BTRIM with and without characters.
CREATE TABLE ev (
  id INT,
  s STRING,
  t STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 STRING,
  f4 STRING,
  f5 STRING,
  f6 STRING,
  f7 STRING,
  f8 STRING,
  f9 STRING,
  f10 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       LTRIM(s),
       RTRIM(s),
       BTRIM(s),
       LTRIM(s, t),
       RTRIM(s, t),
       BTRIM(s, t),
       TRIM(BOTH 'x' FROM s),
       TRIM(LEADING 'x' FROM s),
       TRIM(TRAILING 'y' FROM s),
       TRIM(s)
FROM ev;
