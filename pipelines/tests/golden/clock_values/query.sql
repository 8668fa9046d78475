-- The clock in VALUES.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  a INT,
  b BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT a, b > DATE '2020-01-01' FROM (VALUES (1, CURRENT_DATE), (2, CURRENT_DATE)) AS t (a, b);
