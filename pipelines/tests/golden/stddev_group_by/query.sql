-- Standard deviations of groups.
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
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, STDDEV_POP(d), STDDEV_SAMP(d), COUNT(d) FROM ev GROUP BY k;
