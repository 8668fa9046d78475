-- The right side deletes rows.
CREATE TABLE l (
  id INT,
  k INT,
  v BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/l.json', 'format' = 'json');

CREATE TABLE r (
  id INT,
  k INT,
  w BIGINT,
  c STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/r.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  k INT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.id, l.k, g.n
FROM l LEFT JOIN (SELECT k, COUNT(*) AS n FROM r GROUP BY k HAVING MOD(COUNT(*), 2) = 1) AS g ON l.k = g.k;
