-- Values gathered in growing windows, rows out of order.
-- Arrays in any order.
-- Arrays in any order: Flink joins the slices of a window as it finds them.
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
  ids ARRAY<INT>,
  cs ARRAY<STRING>
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start,
       ARRAY_AGG(id), ARRAY_AGG(c)
FROM TABLE(CUMULATE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '1' MINUTE))
GROUP BY k, window_start, window_end;
