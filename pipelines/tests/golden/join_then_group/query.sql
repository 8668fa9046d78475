-- An aggregate over a join.
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
  n BIGINT,
  s BIGINT,
  hi BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.k, COUNT(*), SUM(l.v * r.w), MAX(r.w)
FROM l JOIN r ON l.k = r.k
GROUP BY l.k;
