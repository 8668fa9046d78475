-- Top-N and dedup of windows around the epoch.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  ws TIMESTAMP(3),
  id INT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT window_start, id, n FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY v DESC, id) AS n
  FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' MINUTE, INTERVAL '3' MINUTE))
) WHERE n <= 2;
