-- Windows of a day over sparse rows.
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
  we TIMESTAMP(3),
  n BIGINT,
  nv BIGINT,
  s BIGINT,
  lo BIGINT,
  hi DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, window_end, COUNT(*), COUNT(v), SUM(v), MIN(v), MAX(d)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '1' DAY))
GROUP BY k, window_start, window_end;
