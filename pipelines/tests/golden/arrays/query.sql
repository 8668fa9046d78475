-- Arrays: index from 1, length, search.
CREATE TABLE ev (
  id INT,
  xs ARRAY<INT>,
  ss ARRAY<STRING>,
  i INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 STRING,
  f3 INT,
  f4 INT,
  f5 INT,
  f6 ARRAY<INT>,
  f7 ARRAY<INT>,
  f8 BOOLEAN,
  f9 BOOLEAN,
  f10 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       xs[1],
       ss[2],
       xs[i],
       CARDINALITY(xs),
       CARDINALITY(ss),
       xs,
       ARRAY[i, 2],
       ARRAY_CONTAINS(xs, 5),
       ARRAY_CONTAINS(ss, 'b'),
       xs IS NULL
FROM ev;
