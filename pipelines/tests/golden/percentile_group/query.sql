-- Percentiles of groups, distinct and filtered; null for a group without values.
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
  a DOUBLE,
  b DOUBLE,
  c DOUBLE,
  e DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, PERCENTILE(v, 0), PERCENTILE(id, 1), PERCENTILE(p, 0.25), PERCENTILE(v, 0.7) FILTER (WHERE v > 1000)
FROM ev GROUP BY k;
