-- FILTER on each kind of aggregate.
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
  ws TIMESTAMP(3),
  a BIGINT,
  b BIGINT,
  c BIGINT,
  d DOUBLE,
  e STRING,
  f BIGINT,
  g DECIMAL(10, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start,
       COUNT(*) FILTER (WHERE c = 'a'),
       COUNT(v) FILTER (WHERE v > 0 OR c IS NULL),
       SUM(v) FILTER (WHERE d < 0),
       AVG(d) FILTER (WHERE v IS NOT NULL),
       MIN(c) FILTER (WHERE v < 50),
       COUNT(DISTINCT c) FILTER (WHERE v > 0),
       MAX(p) FILTER (WHERE FALSE)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;
