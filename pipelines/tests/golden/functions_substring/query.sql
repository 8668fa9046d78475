-- SUBSTRING and SUBSTR, from both ends.
CREATE TABLE ev (
  id INT,
  s STRING,
  n INT,
  m INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 STRING,
  f4 STRING,
  f5 INT,
  f6 INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       SUBSTRING(s FROM n),
       SUBSTRING(s FROM n FOR 2),
       SUBSTR(s, n),
       SUBSTR(s, n, m),
       CHAR_LENGTH(s),
       CHARACTER_LENGTH(s)
FROM ev;
