-- An array within a row.
CREATE TABLE t (
  id INT,
  o ROW<tags ARRAY<STRING>, n INT>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  tag STRING,
  n INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, tag, t.o.n FROM t CROSS JOIN UNNEST(t.o.tags) AS u(tag);
