-- Arrays within arrays, one after the other.
CREATE TABLE t (
  id INT,
  xs ARRAY<ARRAY<INT>>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  n INT,
  x INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, CARDINALITY(ys), x
FROM t
CROSS JOIN UNNEST(xs) AS u(ys)
CROSS JOIN UNNEST(ys) AS w(x);
