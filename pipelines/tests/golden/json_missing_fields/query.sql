-- JSON fields that are missing, null or too many.
CREATE TABLE ev (
  id INT,
  name STRING,
  n BIGINT,
  tags ARRAY<STRING>,
  spot ROW<x DOUBLE, y DOUBLE>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  name STRING,
  n BIGINT,
  tags ARRAY<STRING>,
  x DOUBLE,
  place ROW<x DOUBLE, y DOUBLE>
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT id, name, n, tags, spot.x, spot FROM ev;
