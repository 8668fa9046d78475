-- A pair NOT IN a subquery: what a null leaves open is left out.
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
WHERE (k, MOD(id, 3)) NOT IN (SELECT k, MOD(id, 3) FROM r);
