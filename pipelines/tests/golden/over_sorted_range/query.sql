-- In the order of a column that is no time: rows that sort equal have one answer, nulls are first.
-- Arrival decides: FIRST_VALUE and LAST_VALUE of rows that sort equal.
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
  n BIGINT,
  a BIGINT,
  z BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, SUM(v) OVER w, COUNT(*) OVER w, FIRST_VALUE(v) OVER w, LAST_VALUE(v) OVER w
FROM ev
WINDOW w AS (PARTITION BY k ORDER BY o);
