-- Standard deviations and variances of whole numbers and decimals.
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
  b DECIMAL(38, 6),
  c BIGINT,
  d DECIMAL(38, 6)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, STDDEV_POP(v), STDDEV_SAMP(p), VAR_POP(v), VAR_SAMP(p) FROM ev GROUP BY k;
