-- A session in Berlin: casts of times with a zone, over both changes of the clock.
SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3),
  ltz TIMESTAMP_LTZ(3),
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 TIMESTAMP(3),
  f3 TIMESTAMP_LTZ(3),
  f4 DATE,
  f5 TIME(0),
  f6 TIMESTAMP_LTZ(3),
  f7 TIMESTAMP_LTZ(3),
  f8 TIMESTAMP_LTZ(3),
  f9 TIMESTAMP_LTZ(3),
  f10 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CAST(ltz AS STRING),
       CAST(ltz AS TIMESTAMP(3)),
       CAST(ts AS TIMESTAMP_LTZ(3)),
       CAST(ltz AS DATE),
       CAST(ltz AS TIME(0)),
       CAST(CAST(ts AS DATE) AS TIMESTAMP_LTZ(3)),
       TRY_CAST('2026-03-29 02:30:00' AS TIMESTAMP_LTZ(3)),
       CAST('2026-10-25 02:30:00' AS TIMESTAMP_LTZ(3)),
       ltz,
       ltz > CAST(TIMESTAMP '2026-01-01 00:00:00' AS TIMESTAMP_LTZ(3))
FROM ev;
