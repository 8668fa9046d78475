-- Doubles and floats.
CREATE TABLE ev (
  k INT,
  d DOUBLE,
  f FLOAT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  sd DOUBLE,
  ad DOUBLE,
  ld DOUBLE,
  hd DOUBLE,
  af FLOAT,
  lf FLOAT,
  hf FLOAT,
  sf DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start,
       SUM(d), AVG(d), MIN(d), MAX(d), AVG(f), MIN(f), MAX(f), SUM(CAST(f AS DOUBLE))
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;
