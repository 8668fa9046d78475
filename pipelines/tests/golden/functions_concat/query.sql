-- CONCAT, CONCAT_WS and ||.
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
  f5 STRING,
  f6 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CONCAT(s, t),
       CONCAT_WS('-', s, t),
       CONCAT_WS(s, t, 'z', s),
       s || t || 'z',
       CONCAT(s, CAST(n AS STRING)),
       LOWER(UPPER(s) || 'ÄB')
FROM ev;
