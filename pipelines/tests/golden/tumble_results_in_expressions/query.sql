-- Expressions over aggregates and window bounds.
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
  k STRING,
  day_text STRING,
  ratio DOUBLE,
  mean BIGINT,
  span BIGINT,
  big BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT COALESCE(CAST(k AS STRING), 'none') || '!',
       DATE_FORMAT(window_start, 'yyyy-MM-dd HH:mm:ss'),
       SUM(d) / COUNT(*),
       SUM(v) / NULLIF(COUNT(v), 0),
       MAX(v) - MIN(v) + 1,
       COUNT(*) > 3
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY window_start, window_end, k;
