-- The types of what the clock says.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  a STRING,
  b STRING,
  c STRING,
  d STRING,
  e STRING,
  f STRING,
  g STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT
  id,
  TYPEOF(CURRENT_TIMESTAMP),
  TYPEOF(NOW()),
  TYPEOF(LOCALTIMESTAMP),
  TYPEOF(CURRENT_DATE),
  TYPEOF(CURRENT_ROW_TIMESTAMP()),
  TYPEOF(LOCALTIME),
  TYPEOF(CURRENT_TIME)
FROM ev
WHERE id < 3;
