-- Several percentiles at once.
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
  ps ARRAY<DOUBLE>
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, PERCENTILE(v, ARRAY[0.9, 0.5, 0.0])
FROM ev GROUP BY k;
