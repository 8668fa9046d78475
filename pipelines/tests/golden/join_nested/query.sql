-- A join as the right side of a join.
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
SELECT a.id, bc.b_id, bc.c_id, a.k
FROM a
LEFT JOIN (SELECT b.id AS b_id, c.id AS c_id, b.k FROM b JOIN c ON b.k = c.k AND b.v <> c.v) AS bc ON a.k = bc.k;
