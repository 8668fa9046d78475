-- Rows beside the running count of their key: the padding leaves and the count moves.
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
  n BIGINT,
  hi BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.id, l.k, g.n, g.hi
FROM l LEFT JOIN (SELECT k, COUNT(*) AS n, MAX(w) AS hi FROM r GROUP BY k) AS g ON l.k = g.k;
