-- A constant as part of the key.
CREATE TABLE ev (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  proc AS PROCTIME()
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE names (
  k INT,
  name STRING,
  w INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/names.json', 'format' = 'json', 'lookup.cache' = 'FULL');

CREATE TABLE answer (
  id INT,
  w INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT e.id, n.w
FROM ev AS e
LEFT JOIN names FOR SYSTEM_TIME AS OF e.proc AS n ON e.k = n.k AND n.name = 'a';
