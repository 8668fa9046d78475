-- Counts of a filtered subquery: keys without any.
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
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, (SELECT COUNT(*) FROM r WHERE r.k = l.k AND r.w > 60) FROM l;
