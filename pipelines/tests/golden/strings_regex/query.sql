-- Regular expressions.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       REGEXP_EXTRACT(s, '([a-z]+) ([a-z]+)', 2),
       REGEXP_EXTRACT(s, '[0-9]+')
FROM ev;
