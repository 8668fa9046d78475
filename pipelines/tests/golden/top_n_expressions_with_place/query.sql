-- By expressions, with the place.
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
  n BIGINT,
  k INT,
  id INT,
  v BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT n, k, id, v
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY UPPER(c) ORDER BY v + k DESC, id) AS n FROM ev
)
WHERE n <= 3;
