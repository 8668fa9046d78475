-- Row numbers in the order of the event time.
CREATE TABLE ev (
  id INT,
  k INT,
  o INT,
  v BIGINT,
  c STRING,
  d DOUBLE,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '60' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  k INT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts)
FROM ev;
