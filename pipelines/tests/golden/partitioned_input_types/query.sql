-- Columns of other types in the names of folders.
CREATE TABLE ev (
  id INT,
  i INT,
  l BIGINT,
  b BOOLEAN,
  d DATE,
  ts TIMESTAMP(3),
  x DOUBLE,
  name STRING
) PARTITIONED BY (i, l, b, d, ts, x)
WITH ('connector' = 'filesystem', 'path' = '${CASE}/in', 'format' = 'csv');

CREATE TABLE answer (
  id INT,
  i INT,
  l BIGINT,
  b BOOLEAN,
  d DATE,
  ts TIMESTAMP(3),
  x DOUBLE,
  name STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT * FROM ev;
