-- Logic of three values.
CREATE TABLE ev (
  id INT,
  x BOOLEAN,
  y BOOLEAN,
  a INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BOOLEAN,
  f2 BOOLEAN,
  f3 BOOLEAN,
  f4 BOOLEAN,
  f5 BOOLEAN,
  f6 BOOLEAN,
  f7 BOOLEAN,
  f8 BOOLEAN,
  f9 BOOLEAN,
  f10 BOOLEAN,
  f11 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       x AND y,
       x OR y,
       NOT x,
       x IS TRUE,
       x IS NOT TRUE,
       x IS FALSE,
       x IS NOT FALSE,
       x IS UNKNOWN,
       x AND a > 1,
       NOT (x OR y),
       x AND NULL IS NULL
FROM ev;
