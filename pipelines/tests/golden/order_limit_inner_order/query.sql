-- An order in a subquery without LIMIT says nothing.
CREATE TABLE ev (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, COUNT(*) FROM (SELECT k, v FROM ev ORDER BY v DESC) GROUP BY k;
