-- Distinct counts in growing windows, no keys.
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
  ws TIMESTAMP(3),
  dv BIGINT,
  dc BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT window_start,
       COUNT(DISTINCT v), COUNT(DISTINCT c)
FROM TABLE(CUMULATE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
