-- All rows by a text.
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
  c STRING,
  s BIGINT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, c, SUM(v) OVER w, COUNT(*) OVER w
FROM ev
WINDOW w AS (ORDER BY c RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);
