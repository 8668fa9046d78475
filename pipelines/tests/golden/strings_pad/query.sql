-- Padding and translation.
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
  f4 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       LPAD(s, 8, 'ab'),
       RPAD(s, 8, 'ab'),
       LPAD(t, 2, 'x'),
       TRANSLATE(s, 'abc', 'xy')
FROM ev;
