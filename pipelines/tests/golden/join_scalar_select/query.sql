-- A scalar subquery among the results.
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
  total BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, (SELECT SUM(w) FROM r) FROM l;
