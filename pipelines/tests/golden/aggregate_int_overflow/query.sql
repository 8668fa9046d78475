-- Sums of whole numbers wrap around.
CREATE TABLE ev (
  k INT,
  a TINYINT,
  b SMALLINT,
  c INT,
  d BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  sa TINYINT,
  sb SMALLINT,
  sc INT,
  sd BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start,
       SUM(a), SUM(b), SUM(c), SUM(d)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;
