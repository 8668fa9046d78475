-- TRANSLATE, REPLACE, SPLIT, SPLIT_INDEX, ELT.
CREATE TABLE ev (
  id INT,
  s STRING,
  t STRING,
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 STRING,
  f4 ARRAY<STRING>,
  f5 STRING,
  f6 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       TRANSLATE(s, 'abc', 'xy'),
       TRANSLATE(s, 'aa', 'xy'),
       REPLACE(s, t, '-'),
       SPLIT(s, t),
       SPLIT_INDEX(s, t, n),
       ELT(n, s, t, 'z')
FROM ev;
