-- The first row of each key to arrive: never taken back.
-- Arrival decides: rows count in the order in which they came.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  proc AS PROCTIME()
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  id INT,
  v BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, id, v
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY proc ASC) AS n FROM ev
)
WHERE n = 1;
