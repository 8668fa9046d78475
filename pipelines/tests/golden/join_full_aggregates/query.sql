-- A full join of updating inputs.
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
  k INT,
  l_n BIGINT,
  r_n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT COALESCE(l.k, r.k), l.n, r.n
FROM (SELECT k, COUNT(*) AS n FROM l WHERE v > 0 GROUP BY k) AS l
FULL JOIN (SELECT k, COUNT(*) AS n FROM r WHERE w > 10 GROUP BY k) AS r ON l.k = r.k;
