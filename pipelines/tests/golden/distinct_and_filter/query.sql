-- Distinct beneath a filter and a projection.
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
  c STRING,
  twice INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT c, k * 2 FROM (SELECT DISTINCT c, k FROM ev WHERE v > 0) WHERE k > 0 OR c = 'a';
