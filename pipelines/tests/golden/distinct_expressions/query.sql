-- Distinct results of expressions.
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
  a INT,
  b STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT DISTINCT MOD(id, 3), LOWER(c) FROM ev;
