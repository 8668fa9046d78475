-- A window of the clock over windows of the clock.
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
SELECT window_start AS ws, window_end AS we, window_time AS wt, k, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(p), INTERVAL '1000' DAY(4)))
GROUP BY window_start, window_end, window_time, k;

INSERT INTO answer
SELECT window_start, SUM(n)
FROM TABLE(TUMBLE(TABLE firsts, DESCRIPTOR(wt), INTERVAL '2000' DAY(4)))
GROUP BY window_start, window_end;
