-- Elements with their position.
CREATE TABLE t (
  id INT,
  xs ARRAY<INT>,
  ys ARRAY<STRING>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  y STRING,
  place INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, y, place FROM t CROSS JOIN UNNEST(ys) WITH ORDINALITY AS u(y, place);
