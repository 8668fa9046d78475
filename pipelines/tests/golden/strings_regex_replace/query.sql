-- Regular expressions that replace and test.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 BOOLEAN,
  f4 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       REGEXP_REPLACE(s, '[aeiou]', '*'),
       REGEXP_REPLACE(s, '(\\w)X(\\w)', '$2-$1'),
       REGEXP(s, '^[A-Z]'),
       REGEXP(s, 'o')
FROM ev;
