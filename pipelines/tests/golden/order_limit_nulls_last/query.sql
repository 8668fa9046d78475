-- NULLS LAST and FIRST.
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
  v BIGINT,
  d DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, v, d FROM ev ORDER BY v ASC NULLS LAST, d DESC NULLS LAST, id LIMIT 8;
