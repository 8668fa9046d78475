-- Fields of rows, nested rows, values of maps.
CREATE TABLE ev (
  id INT,
  r ROW<name STRING, spot ROW<x DOUBLE, y DOUBLE>, n INT>,
  m MAP<STRING, INT>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 DOUBLE,
  f3 DOUBLE,
  f4 INT,
  f5 ROW<x DOUBLE, y DOUBLE>,
  f6 BOOLEAN,
  f7 BOOLEAN,
  f8 INT,
  f9 INT,
  f10 INT,
  f11 ROW<n INT, name STRING>
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       r.name,
       r.spot.x,
       r.spot.x + r.spot.y,
       r.n + 1,
       r.spot,
       r IS NULL,
       r.spot IS NULL,
       m['a'],
       m['none'],
       CARDINALITY(m),
       ROW(r.n, r.name)
FROM ev;
