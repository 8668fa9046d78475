-- A join on what changes: the count itself.
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
  lk INT,
  rk INT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.k, r.k, l.n
FROM (SELECT k, COUNT(*) AS n FROM l GROUP BY k) AS l
JOIN (SELECT k, COUNT(*) AS n FROM r GROUP BY k) AS r ON l.n = r.n;
