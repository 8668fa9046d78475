-- Nulls after all values.
CREATE TABLE ev (
  id INT,
  k INT,
  o INT,
  v BIGINT,
  c STRING,
  d DOUBLE,
  ts TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  k INT,
  s BIGINT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, SUM(v) OVER w, COUNT(c) OVER w
FROM ev
WINDOW w AS (PARTITION BY k ORDER BY o NULLS LAST);
