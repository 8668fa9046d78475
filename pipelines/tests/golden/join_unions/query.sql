-- Unions as inputs.
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
  v BIGINT,
  c STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT x.k, x.v, y.c
FROM (SELECT k, v FROM l UNION ALL SELECT k, w FROM r) AS x
JOIN (SELECT DISTINCT k, c FROM r) AS y ON x.k = y.k;
