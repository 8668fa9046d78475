-- A pair IN a subquery of groups, whose rows change.
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
  v BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, v FROM l
WHERE (k, CAST(MOD(id, 5) AS BIGINT)) IN (SELECT k, COUNT(*) FROM r GROUP BY k);
