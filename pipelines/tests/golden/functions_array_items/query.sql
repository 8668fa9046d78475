-- ARRAY_APPEND, PREPEND, REMOVE, POSITION, CONTAINS.
CREATE TABLE ev (
  id INT,
  x ARRAY<INT>,
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 ARRAY<INT>,
  f2 ARRAY<INT>,
  f3 ARRAY<INT>,
  f4 INT,
  f5 BOOLEAN,
  f6 INT,
  f7 INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       ARRAY_APPEND(x, n),
       ARRAY_PREPEND(x, n),
       ARRAY_REMOVE(x, n),
       ARRAY_POSITION(x, n),
       ARRAY_CONTAINS(x, n),
       x[n],
       CARDINALITY(x)
FROM ev;
