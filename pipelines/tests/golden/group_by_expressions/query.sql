-- Keys and results that are expressions.
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
  half INT,
  letter STRING,
  n BIGINT,
  mean BIGINT,
  span BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT MOD(id, 2), UPPER(c), COUNT(*) * 10, SUM(v) / COUNT(*), MAX(v) - MIN(v)
FROM ev
GROUP BY MOD(id, 2), UPPER(c);
