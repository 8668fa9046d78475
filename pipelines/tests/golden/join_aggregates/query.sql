-- Two aggregates joined by their key: both inputs update.
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
  r_n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.k, l.n, r.n, l.s - r.s
FROM (SELECT k, COUNT(*) AS n, SUM(v) AS s FROM l GROUP BY k) AS l
JOIN (SELECT k, COUNT(*) AS n, SUM(w) AS s FROM r GROUP BY k) AS r ON l.k = r.k;
