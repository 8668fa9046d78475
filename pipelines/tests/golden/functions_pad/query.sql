-- LPAD, RPAD at their limits.
CREATE TABLE ev (
  id INT,
  s STRING,
  n INT,
  t STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       LPAD(s, n, t),
       RPAD(s, n, t)
FROM ev;
