-- A session in New York.
SET 'table.local-time-zone' = 'America/New_York';
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3),
  ltz TIMESTAMP_LTZ(3),
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 DATE,
  f3 BIGINT,
  f4 TIMESTAMP_LTZ(3),
  f5 STRING,
  f6 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CAST(ltz AS STRING),
       CAST(ltz AS DATE),
       DAYOFYEAR(ltz),
       CAST(ts AS TIMESTAMP_LTZ(3)),
       DATE_FORMAT(ltz, 'EEE HH'),
       JSON_STRING(n)
FROM ev;
