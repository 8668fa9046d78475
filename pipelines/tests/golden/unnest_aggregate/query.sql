-- What COLLECT gathers, taken apart again.
CREATE TABLE t (
  id INT,
  k INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  id INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, id
FROM (SELECT k, ARRAY_AGG(id) AS ids FROM t GROUP BY k)
CROSS JOIN UNNEST(ids) AS u(id);
