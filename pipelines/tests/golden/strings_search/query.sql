-- Searching in strings.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 BOOLEAN,
  f3 BOOLEAN,
  f4 BOOLEAN,
  f5 BOOLEAN,
  f6 BOOLEAN,
  f7 BOOLEAN,
  f8 BOOLEAN,
  f9 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       POSITION('l' IN s),
       s LIKE '%o%',
       s LIKE 'h_llo%',
       s LIKE '%\%%' ESCAPE '\',
       s NOT LIKE 'a%',
       s IN ('x', 'Hello', ''),
       s NOT IN ('x', 'Hello'),
       s BETWEEN 'a' AND 'm',
       s > 'H'
FROM ev;
