-- The same, left.
CREATE TABLE t (
  id INT,
  m MAP<STRING, INT>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  k STRING,
  v INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, v FROM t LEFT JOIN UNNEST(m) AS u(k, v) ON TRUE;
