-- Two arrays of one row: every pair.
CREATE TABLE t (
  id INT,
  xs ARRAY<INT>,
  ys ARRAY<STRING>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  x INT,
  y STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, x, y FROM t CROSS JOIN UNNEST(xs) AS u(x) CROSS JOIN UNNEST(ys) AS w(y);
