-- Parts of strings, by position and by delimiter.
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
  f5 STRING,
  f6 STRING,
  f7 STRING,
  f8 STRING,
  f9 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       SUBSTRING(s, 2),
       SUBSTRING(s, 2, 3),
       SUBSTRING(s FROM 3 FOR 2),
       SUBSTRING(s, -3),
       SUBSTRING(s, n),
       SUBSTRING(s, 1, 100),
       SPLIT_INDEX(s, ',', 1),
       SPLIT_INDEX(s, 'X', 0),
       SPLIT_INDEX(s, ',', 9)
FROM ev;
