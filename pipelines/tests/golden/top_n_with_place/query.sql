-- With their place: rows move down as better ones come.
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
  place BIGINT,
  id INT,
  v BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, place, id, v
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC, id) AS place
  FROM ev
)
WHERE place <= 3;
