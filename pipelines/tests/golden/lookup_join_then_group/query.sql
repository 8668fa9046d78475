-- An aggregate over looked-up names.
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
  name STRING,
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT COALESCE(n.name, 'none'), COUNT(*), SUM(e.v)
FROM ev AS e
LEFT JOIN names FOR SYSTEM_TIME AS OF e.proc AS n ON e.k = n.k
GROUP BY COALESCE(n.name, 'none');
