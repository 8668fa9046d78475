-- TIMESTAMPADD and TIMESTAMPDIFF in all units.
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3),
  ltz TIMESTAMP_LTZ(3),
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 TIMESTAMP(3),
  f2 TIMESTAMP(3),
  f3 TIMESTAMP(3),
  f4 TIMESTAMP(3),
  f5 TIMESTAMP(3),
  f6 TIMESTAMP(3),
  f7 TIMESTAMP(3),
  f8 TIMESTAMP(3),
  f9 INT,
  f10 INT,
  f11 INT,
  f12 INT,
  f13 INT,
  f14 TIMESTAMP(3),
  f15 TIMESTAMP(3),
  f16 TIMESTAMP(3),
  f17 DATE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       TIMESTAMPADD(SECOND, n, ts),
       TIMESTAMPADD(MINUTE, n, ts),
       TIMESTAMPADD(HOUR, n, ts),
       TIMESTAMPADD(DAY, n, ts),
       TIMESTAMPADD(WEEK, n, ts),
       TIMESTAMPADD(MONTH, n, ts),
       TIMESTAMPADD(QUARTER, n, ts),
       TIMESTAMPADD(YEAR, n, ts),
       TIMESTAMPDIFF(DAY, TIMESTAMP '2024-02-29 12:00:00', ts),
       TIMESTAMPDIFF(MONTH, TIMESTAMP '2024-02-29 12:00:00', ts),
       TIMESTAMPDIFF(QUARTER, TIMESTAMP '2024-02-29 12:00:00', ts),
       TIMESTAMPDIFF(WEEK, TIMESTAMP '2024-02-29 12:00:00', ts),
       TIMESTAMPDIFF(YEAR, ts, TIMESTAMP '2024-02-29 12:00:00'),
       ts + n * INTERVAL '1' HOUR,
       ts - INTERVAL '1' YEAR,
       ts + INTERVAL '1-2' YEAR TO MONTH,
       CAST(ts AS DATE) + INTERVAL '1' MONTH
FROM ev;
