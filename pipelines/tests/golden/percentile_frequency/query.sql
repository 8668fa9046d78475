-- Percentiles of values that count several times, or not at all.
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
  med DOUBLE,
  two ARRAY<DOUBLE>,
  times_two DOUBLE,
  signed DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT
  k,
  PERCENTILE(d, 0.5, id),
  PERCENTILE(v, ARRAY[0.25, 0.9], CAST(p AS INT)),
  PERCENTILE(p, 0.4, 2),
  PERCENTILE(d, 0.5, CAST(v AS INT))
FROM ev GROUP BY k;
