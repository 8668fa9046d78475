-- Running counts, sums and extremes of keys that may be null.
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
  c STRING,
  n BIGINT,
  nv BIGINT,
  s BIGINT,
  lo BIGINT,
  hi DOUBLE,
  av BIGINT,
  sp DECIMAL(38, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, c, COUNT(*), COUNT(v), SUM(v), MIN(v), MAX(d), AVG(v), SUM(p)
FROM ev
GROUP BY k, c;
