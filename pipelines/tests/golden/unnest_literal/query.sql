-- An array written out.
CREATE TABLE t (
  id INT,
  k INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  x INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k + x FROM t CROSS JOIN UNNEST(ARRAY[10, 20, 30]) AS u(x);
