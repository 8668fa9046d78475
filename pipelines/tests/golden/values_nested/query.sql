-- Arrays, maps and rows in VALUES.
CREATE TABLE answer (
  id INT,
  xs ARRAY<INT>,
  m MAP<STRING, INT>
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, xs, m FROM (VALUES (1, ARRAY[1, 2], MAP['a', 1]), (2, ARRAY[3, 4], MAP['b', 2])) AS t(id, xs, m);
