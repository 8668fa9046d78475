-- MAP, MAP_KEYS, MAP_VALUES, MAP_UNION, MAP_FROM_ARRAYS.
CREATE TABLE ev (
  id INT,
  m MAP<STRING, INT>,
  o MAP<STRING, INT>,
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 MAP<STRING, INT>,
  f2 ARRAY<STRING>,
  f3 ARRAY<INT>,
  f4 MAP<STRING, INT>,
  f5 MAP<STRING, INT>,
  f6 INT,
  f7 INT,
  f8 INT,
  f9 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       MAP['x', n, 'y', 2],
       ARRAY_SORT(MAP_KEYS(m)),
       ARRAY_SORT(MAP_VALUES(m)),
       MAP_UNION(m, o),
       MAP_FROM_ARRAYS(ARRAY['p', 'q'], ARRAY[n, 5]),
       CARDINALITY(m),
       m['b'],
       MAP['x', n]['x'],
       m IS NULL
FROM ev;
