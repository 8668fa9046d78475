-- Variances with FILTER and DISTINCT.
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
  c DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, VAR_POP(d) FILTER (WHERE v > 0), VAR_SAMP(DISTINCT d), VARIANCE(d) FROM ev GROUP BY k;
