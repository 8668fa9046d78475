-- Standard deviation of averages that change.
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
  a DOUBLE,
  b DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT STDDEV_POP(m), STDDEV_SAMP(m) FROM (SELECT k, AVG(d) AS m FROM ev GROUP BY k);
