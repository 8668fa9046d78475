-- Conditions on both sides after the join.
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
  name STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT e.id, n.name
FROM ev AS e
JOIN names FOR SYSTEM_TIME AS OF e.proc AS n ON e.k = n.k
WHERE e.v > 0 AND n.name IS NOT NULL;
