-- Building and replacing strings.
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
  f4 STRING,
  f5 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       s || '-' || t,
       CONCAT(s, '-', t),
       CONCAT_WS('+', s, t, 'end'),
       REPLACE(s, 'l', 'LL'),
       s || CAST(n AS STRING)
FROM ev;
