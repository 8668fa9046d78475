-- The first rows of each window, straight over the window function.
CREATE TABLE ev (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  id INT,
  k INT,
  v BIGINT,
  place BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT window_start, window_end, id, k, v, place
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, k ORDER BY v DESC, id ASC) AS place
  FROM (
    SELECT * FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '15' SECOND))
  )
)
WHERE place <= 2;
