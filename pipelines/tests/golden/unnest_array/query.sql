-- Each element of an array; empty and null arrays give no rows.
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
SELECT id, k, x FROM t CROSS JOIN UNNEST(xs) AS u(x);
