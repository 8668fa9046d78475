-- A window over the time of sessions.
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

CREATE VIEW sessions AS
SELECT k, window_time AS ended, COUNT(*) AS n
FROM TABLE(SESSION(TABLE ev PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' SECOND))
GROUP BY k, window_start, window_end, window_time;

CREATE TABLE answer (
  ws TIMESTAMP(3),
  sessions BIGINT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT window_start, COUNT(*), SUM(n)
FROM TABLE(TUMBLE(TABLE sessions, DESCRIPTOR(ended), INTERVAL '30' SECOND))
GROUP BY window_start, window_end;
