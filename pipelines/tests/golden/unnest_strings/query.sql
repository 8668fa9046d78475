-- Strings, with the comma form.
CREATE TABLE t (
  id INT,
  k INT,
  xs ARRAY<STRING>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  x STRING,
  n INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, UPPER(x), CARDINALITY(xs) FROM t, UNNEST(xs) AS u(x);
