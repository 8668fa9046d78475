-- Every way to count.
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
  a BIGINT,
  b BIGINT,
  c BIGINT,
  d BIGINT,
  e BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, COUNT(*), COUNT(1), COUNT(v), COUNT(DISTINCT v), COUNT(CASE WHEN v > 10 THEN 1 END) FROM ev GROUP BY k;
