-- Cumulating windows across 1970.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, window_end, COUNT(*), SUM(v)
FROM TABLE(CUMULATE(TABLE ev, DESCRIPTOR(ts), INTERVAL '7' SECOND, INTERVAL '21' SECOND))
GROUP BY k, window_start, window_end;
