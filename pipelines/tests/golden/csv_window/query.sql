-- A window over CSV with another delimiter and a null literal.
CREATE TABLE ev (
  k STRING,
  v INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.csv', 'format' = 'csv', 'csv.field-delimiter' = ';', 'csv.null-literal' = 'NULL');

CREATE TABLE answer (
  k STRING,
  ws TIMESTAMP(3),
  n BIGINT,
  s INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, COUNT(*), SUM(v)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY k, window_start, window_end;
