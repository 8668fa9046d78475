-- Row numbers that nobody filters by.
-- Arrival decides: rows sort equal.
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
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, ROW_NUMBER() OVER (PARTITION BY k ORDER BY o)
FROM ev;
