-- Times and intervals.
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3),
  us TIMESTAMP(3),
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
  f9 TIMESTAMP(3),
  f10 TIMESTAMP(3),
  f11 TIMESTAMP(3),
  f12 TIMESTAMP(3),
  f13 TIMESTAMP(3),
  f14 TIMESTAMP(3),
  f15 INT,
  f16 INT,
  f17 INT,
  f18 INT,
  f19 INT,
  f20 INT,
  f21 DATE,
  f22 DATE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       ts + INTERVAL '1' SECOND,
       ts - INTERVAL '1' MINUTE,
       ts + INTERVAL '2' HOUR,
       ts - INTERVAL '3' DAY,
       ts + INTERVAL '1' MONTH,
       ts - INTERVAL '1' YEAR,
       ts + INTERVAL '1 02:03:04.005' DAY TO SECOND(3),
       ts + INTERVAL '1-2' YEAR TO MONTH,
       ts + INTERVAL '0.25' SECOND,
       ts + n * INTERVAL '1' MINUTE,
       TIMESTAMPADD(SECOND, n, ts),
       TIMESTAMPADD(DAY, n, ts),
       TIMESTAMPADD(MONTH, n, ts),
       TIMESTAMPADD(YEAR, 1, ts),
       TIMESTAMPDIFF(SECOND, us, ts),
       TIMESTAMPDIFF(MINUTE, us, ts),
       TIMESTAMPDIFF(HOUR, us, ts),
       TIMESTAMPDIFF(DAY, us, ts),
       TIMESTAMPDIFF(MONTH, us, ts),
       TIMESTAMPDIFF(YEAR, us, ts),
       CAST(ts AS DATE) + INTERVAL '1' DAY,
       CAST(ts AS DATE) - INTERVAL '1' MONTH
FROM ev;
