-- Functions in computed columns.
CREATE TABLE ev (
  id INT,
  s STRING,
  n INT,
  up AS UPPER(s) || '!',
  twice AS n * 2,
  big AS CAST(n AS BIGINT) * 3000000000,
  h AS MD5(s)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 INT,
  f3 BIGINT,
  f4 STRING,
  f5 INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       up,
       twice,
       big,
       h,
       twice + 1
FROM ev;
