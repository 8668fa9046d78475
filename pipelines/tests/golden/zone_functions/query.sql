-- A session in Berlin: functions of times with a zone.
SET 'table.local-time-zone' = 'Europe/Berlin';
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3),
  ltz TIMESTAMP_LTZ(3),
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BIGINT,
  f2 BIGINT,
  f3 BIGINT,
  f4 STRING,
  f5 TIMESTAMP_LTZ(3),
  f6 TIMESTAMP_LTZ(3),
  f7 TIMESTAMP_LTZ(3),
  f8 STRING,
  f9 BIGINT,
  f10 INT,
  f11 TIMESTAMP_LTZ(3),
  f12 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       EXTRACT(HOUR FROM ltz),
       EXTRACT(DAY FROM ltz),
       HOUR(ts),
       DATE_FORMAT(ltz, 'yyyy-MM-dd HH:mm'),
       FLOOR(ltz TO DAY),
       ltz + INTERVAL '1' DAY,
       TIMESTAMPADD(HOUR, n, ltz),
       FROM_UNIXTIME(n * 86400 + 1774746000),
       UNIX_TIMESTAMP('2026-07-01 00:00:00'),
       TIMESTAMPDIFF(HOUR, ltz, CAST(TIMESTAMP '2026-07-01 00:00:00' AS TIMESTAMP_LTZ(3))),
       TO_TIMESTAMP_LTZ(n * 1000, 3),
       CONVERT_TZ('2026-07-01 12:00:00', 'UTC', 'America/Los_Angeles')
FROM ev;
