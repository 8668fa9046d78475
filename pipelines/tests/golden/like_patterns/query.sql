-- LIKE with and without ESCAPE.
CREATE TABLE ev (
  id INT,
  s STRING,
  p STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BOOLEAN,
  f2 BOOLEAN,
  f3 BOOLEAN,
  f4 BOOLEAN,
  f5 BOOLEAN,
  f6 BOOLEAN,
  f7 BOOLEAN,
  f8 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       s LIKE p,
       s NOT LIKE p,
       s LIKE 'a!%c' ESCAPE '!',
       s LIKE 'a_c',
       s LIKE '%C',
       s LIKE 'a\%c',
       s LIKE '',
       s NOT LIKE 'a!_c' ESCAPE '!'
FROM ev;
