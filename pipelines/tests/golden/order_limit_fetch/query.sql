-- FETCH FIRST is LIMIT.
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
  id INT,
  p DECIMAL(10, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, p FROM ev ORDER BY p, id FETCH FIRST 4 ROWS ONLY;
