-- Groups in which all values are null.
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
  n BIGINT,
  nv BIGINT,
  s BIGINT,
  a BIGINT,
  lo BIGINT,
  hi BIGINT,
  dv BIGINT,
  c STRING,
  sd DOUBLE,
  ap DECIMAL(38, 6),
  s90 BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start,
       COUNT(*), COUNT(v), SUM(v), AVG(v), MIN(v), MAX(v), COUNT(DISTINCT v), MIN(c), SUM(d), AVG(p), SUM(CASE WHEN v > 90 THEN v END)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;
