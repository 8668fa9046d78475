-- A limit inside, an aggregate outside.
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
  s BIGINT,
  lo BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT COUNT(*), SUM(v), MIN(v)
FROM (SELECT v, id FROM ev ORDER BY v DESC, id LIMIT 10);
