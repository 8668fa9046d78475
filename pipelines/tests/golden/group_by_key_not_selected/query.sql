-- The key is not among the results: equal rows stand side by side.
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
  n BIGINT,
  hi STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT COUNT(*), MAX(c) FROM ev GROUP BY k;
