-- A row in each growing window that holds it.
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
  id INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  wt TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, window_start, window_end, window_time
FROM TABLE(CUMULATE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '40' SECOND));
