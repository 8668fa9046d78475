-- ARRAY_SORT, MAX, MIN, SLICE, JOIN, ELEMENT.
CREATE TABLE ev (
  id INT,
  x ARRAY<INT>,
  s ARRAY<STRING>,
  n INT,
  m INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 ARRAY<INT>,
  f2 ARRAY<INT>,
  f3 ARRAY<INT>,
  f4 ARRAY<STRING>,
  f5 INT,
  f6 INT,
  f7 STRING,
  f8 ARRAY<INT>,
  f9 ARRAY<INT>,
  f10 STRING,
  f11 STRING,
  f12 INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       ARRAY_SORT(x),
       ARRAY_SORT(x, FALSE),
       ARRAY_SORT(x, TRUE, FALSE),
       ARRAY_SORT(s),
       ARRAY_MAX(x),
       ARRAY_MIN(x),
       ARRAY_MAX(s),
       ARRAY_SLICE(x, n),
       ARRAY_SLICE(x, n, m),
       ARRAY_JOIN(s, '-'),
       ARRAY_JOIN(s, '-', '?'),
       ELEMENT(ARRAY[n])
FROM ev;
