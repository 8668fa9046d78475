-- LEFT JOIN UNNEST keeps rows without elements.
CREATE TABLE t (
  id INT,
  k INT,
  xs ARRAY<INT>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  k INT,
  x INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, x FROM t LEFT JOIN UNNEST(xs) AS u(x) ON TRUE;
