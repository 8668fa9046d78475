-- Conditions on elements.
CREATE TABLE t (
  id INT,
  k INT,
  xs ARRAY<INT>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  x INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, x FROM t CROSS JOIN UNNEST(xs) AS u(x) WHERE x > k AND x IS NOT NULL;
