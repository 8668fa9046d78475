-- All aggregates of sessions that are joined by late rows.
-- Arrival decides: LISTAGG takes rows in the order in which they came.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '30' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  n BIGINT,
  s BIGINT,
  a BIGINT,
  mi BIGINT,
  ma BIGINT,
  d BIGINT,
  f BIGINT,
  l BIGINT,
  t STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, COUNT(v), SUM(v), AVG(v), MIN(v), MAX(v), COUNT(DISTINCT v),
  SUM(v) FILTER (WHERE v > 20), COUNT(*), LISTAGG(CAST(id AS STRING))
FROM TABLE(SESSION(TABLE ev PARTITION BY k, DESCRIPTOR(ts), INTERVAL '2' SECOND))
GROUP BY k, window_start, window_end
HAVING COUNT(*) > 0;
