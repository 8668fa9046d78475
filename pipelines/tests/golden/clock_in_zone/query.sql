-- The clock in a zone.
SET 'table.local-time-zone' = 'Asia/Tokyo';

CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  a BIGINT,
  b BIGINT,
  c BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT
  id,
  TIMESTAMPDIFF(HOUR, CAST(CURRENT_TIMESTAMP AS TIMESTAMP(3)), LOCALTIMESTAMP),
  TIMESTAMPDIFF(HOUR, LOCALTIMESTAMP, CAST(NOW() AS TIMESTAMP(3))),
  CAST(CURRENT_TIMESTAMP AS DATE) <= CURRENT_DATE
FROM ev;
