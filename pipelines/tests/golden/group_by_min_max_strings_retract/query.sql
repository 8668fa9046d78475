-- Extremes of strings and times under retraction.
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
  lo STRING,
  hi STRING,
  first_ts TIMESTAMP(3),
  last_ts TIMESTAMP(3),
  hp DECIMAL(10, 2),
  ld DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT MIN(hi), MAX(hi), MIN(ts), MAX(ts), MAX(hp), MIN(ld)
FROM (SELECT k, MAX(c) AS hi, MAX(CAST(ts AS TIMESTAMP(3))) AS ts, MAX(p) AS hp, MIN(d) AS ld FROM ev GROUP BY k);
