-- Two looks into one file.
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
  a STRING,
  b STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT e.id, n.name, m.name
FROM ev AS e
LEFT JOIN names FOR SYSTEM_TIME AS OF e.proc AS n ON e.k = n.k
LEFT JOIN names FOR SYSTEM_TIME AS OF e.proc AS m ON n.w = m.k;
