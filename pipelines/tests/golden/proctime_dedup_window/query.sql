-- First rows by the clock, then windows of event time.
-- Arrival decides: rows count in the order in which they came.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  p AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  ws TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

CREATE VIEW firsts AS
SELECT id, k, ts FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY v ORDER BY p) AS n FROM ev) WHERE n = 1;

INSERT INTO answer
SELECT window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE firsts, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY window_start, window_end;
