-- Over all rows.
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
  id INT,
  d DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, d
FROM (
  SELECT *, ROW_NUMBER() OVER (ORDER BY d DESC, id) AS place
  FROM ev
)
WHERE place <= 5;
