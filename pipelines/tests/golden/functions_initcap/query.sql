-- INITCAP, REVERSE, REPEAT, LEFT, RIGHT.
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
  f6 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       INITCAP(s),
       REVERSE(s),
       REPEAT(s, n),
       LEFT(s, n),
       RIGHT(s, n),
       INITCAP(LOWER(s) || '-x.y z')
FROM ev;
