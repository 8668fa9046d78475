-- ARRAY_UNION, EXCEPT, INTERSECT, DISTINCT, CONCAT.
CREATE TABLE ev (
  id INT,
  x ARRAY<INT>,
  y ARRAY<INT>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 ARRAY<INT>,
  f2 ARRAY<INT>,
  f3 ARRAY<INT>,
  f4 ARRAY<INT>,
  f5 ARRAY<INT>,
  f6 ARRAY<INT>
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       ARRAY_UNION(x, y),
       ARRAY_EXCEPT(x, y),
       ARRAY_INTERSECT(x, y),
       ARRAY_DISTINCT(x),
       ARRAY_CONCAT(x, y),
       ARRAY_REVERSE(x)
FROM ev;
