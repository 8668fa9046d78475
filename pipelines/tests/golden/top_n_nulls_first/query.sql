-- Nulls ordered as asked for.
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
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  k INT,
  c STRING,
  s BIGINT,
  place BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT window_start, window_end, k, c, s, place
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY s ASC NULLS LAST, k DESC NULLS FIRST, c ASC NULLS FIRST) AS place
  FROM (
    SELECT k, c, window_start, window_end, COUNT(*) AS n, SUM(v) AS s
    FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
    GROUP BY k, c, window_start, window_end
  )
)
WHERE place <= 4;
