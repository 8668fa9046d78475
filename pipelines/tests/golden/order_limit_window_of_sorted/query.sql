-- A window over rows in the order of their time.
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
  f BIGINT,
  l BIGINT,
  w TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

CREATE TEMPORARY VIEW sorted AS SELECT * FROM ev ORDER BY ts;

INSERT INTO answer
SELECT k, COUNT(*), MAX(v), window_start
FROM TABLE(TUMBLE(TABLE sorted, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY k, window_start, window_end;
