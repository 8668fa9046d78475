-- The time of the window.
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
  wt TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, CAST(TUMBLE_ROWTIME(ts, INTERVAL '20' SECOND) AS TIMESTAMP(3)), COUNT(*)
FROM ev
GROUP BY k, TUMBLE(ts, INTERVAL '20' SECOND);
