-- A table with itself: pairs of one key, smaller id first.
CREATE TABLE t (
  id INT,
  k INT,
  v BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  a INT,
  b INT,
  k INT,
  diff BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT x.id, y.id, x.k, y.v - x.v
FROM t AS x JOIN t AS y ON x.k = y.k AND x.id < y.id;
