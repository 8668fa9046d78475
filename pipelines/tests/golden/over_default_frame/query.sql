-- ORDER BY without a frame is the range from the beginning.
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
  k INT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k,
       SUM(v) OVER (PARTITION BY k ORDER BY ts)
FROM ev;
