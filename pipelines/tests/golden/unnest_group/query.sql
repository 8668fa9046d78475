-- An aggregate over elements.
CREATE TABLE t (
  id INT,
  k INT,
  xs ARRAY<INT>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  x INT,
  n BIGINT,
  ids BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT x, COUNT(*), COUNT(DISTINCT id) FROM t CROSS JOIN UNNEST(xs) AS u(x) GROUP BY x;
