-- Quotes, escapes, comments, arrays, rows and null literals of CSV.
CREATE TABLE ev (
  id INT,
  name STRING,
  tags ARRAY<STRING>,
  pair ROW<a INT, b STRING>,
  v DOUBLE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.csv', 'format' = 'csv', 'csv.field-delimiter' = '|', 'csv.quote-character' = '''', 'csv.escape-character' = '\', 'csv.array-element-delimiter' = '/', 'csv.allow-comments' = 'true', 'csv.null-literal' = 'NULL', 'csv.ignore-parse-errors' = 'true');

CREATE TABLE answer (
  id INT,
  name STRING,
  tags ARRAY<STRING>,
  a INT,
  b STRING,
  v DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT id, name, tags, pair.a, pair.b, v FROM ev;
