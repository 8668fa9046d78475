-- Fields that do not fit are NULL, lines that are no JSON are passed over.
CREATE TABLE ev (
  id INT,
  name STRING,
  d DOUBLE,
  b BOOLEAN,
  ts TIMESTAMP(3),
  tags ARRAY<INT>,
  pair ROW<a INT, b STRING>,
  big BIGINT,
  small SMALLINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json', 'json.ignore-parse-errors' = 'true');

CREATE TABLE answer (
  id INT,
  name STRING,
  d DOUBLE,
  b BOOLEAN,
  ts TIMESTAMP(3),
  tags ARRAY<INT>,
  a INT,
  c STRING,
  big BIGINT,
  small SMALLINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT id, name, d, b, ts, tags, pair.a, pair.b, big, small FROM ev;
