-- Several distinct counts beside plain ones.
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
  n BIGINT,
  cs BIGINT,
  vs BIGINT,
  both_ BIGINT,
  sd BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, COUNT(*), COUNT(DISTINCT c), COUNT(DISTINCT v), COUNT(DISTINCT v) FILTER (WHERE c = 'a'), SUM(DISTINCT v)
FROM ev
GROUP BY k;
