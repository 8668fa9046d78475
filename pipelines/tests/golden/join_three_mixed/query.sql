-- An inner, then a full join.
CREATE TABLE a (
  id INT,
  k INT,
  v BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/a.json', 'format' = 'json');

CREATE TABLE b (
  id INT,
  k INT,
  v BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/b.json', 'format' = 'json');

CREATE TABLE c (
  id INT,
  k INT,
  v BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/c.json', 'format' = 'json');

CREATE TABLE answer (
  a INT,
  b INT,
  c INT,
  k INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT a.id, b.id, c.id, a.k
FROM a JOIN b ON a.k = b.k FULL JOIN c ON a.v = c.v AND a.k = c.k;
