-- A pair IN a list of pairs, and NOT IN one.
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
WHERE (k, MOD(id, 3)) IN ((1, 2), (4, 1), (5, 1), (2, 0))
  AND (id, v) NOT IN ((17, 11), (19, 0));
