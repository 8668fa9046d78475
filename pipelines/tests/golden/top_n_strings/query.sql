-- Ordered by strings, then times.
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
  id INT,
  c STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, id, c
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY c DESC, ts DESC) AS place
  FROM ev
)
WHERE place <= 3;
