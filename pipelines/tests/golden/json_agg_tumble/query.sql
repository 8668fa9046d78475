-- JSON arrays and objects of windows.
-- Arrival decides.
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
  window_start TIMESTAMP(3),
  k INT,
  ids STRING,
  vs STRING,
  members STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT window_start, k, JSON_ARRAYAGG(id), JSON_ARRAYAGG(v NULL ON NULL),
  JSON_OBJECTAGG(KEY CAST(id AS STRING) VALUE p ABSENT ON NULL)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY window_start, window_end, k;
