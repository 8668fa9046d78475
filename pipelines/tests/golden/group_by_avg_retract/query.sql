-- Averages of averages.
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
  whole BIGINT,
  dec_ DECIMAL(38, 6),
  dbl DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT AVG(a), AVG(b), AVG(c)
FROM (SELECT k, AVG(v) AS a, MAX(p) AS b, MAX(d) AS c FROM ev GROUP BY k);
