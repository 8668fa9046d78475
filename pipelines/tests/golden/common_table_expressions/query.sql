-- WITH, nested, over windows.
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
  share DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
WITH named AS (SELECT k, v, ts FROM ev WHERE k IS NOT NULL),
     windows AS (
       SELECT k, window_start, COUNT(*) AS n, COUNT(v) AS nv
       FROM TABLE(TUMBLE(TABLE named, DESCRIPTOR(ts), INTERVAL '20' SECOND))
       GROUP BY k, window_start, window_end
     )
SELECT k, window_start, CAST(nv AS DOUBLE) / n FROM windows WHERE n > 1;
