-- Times compared with each other and with literals.
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3),
  us TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BOOLEAN,
  f2 BOOLEAN,
  f3 BOOLEAN,
  f4 BOOLEAN,
  f5 BOOLEAN,
  f6 BOOLEAN,
  f7 BOOLEAN,
  f8 BOOLEAN,
  f9 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       ts = us,
       ts > us,
       ts >= TIMESTAMP '2024-02-29 12:34:56.789',
       ts < TIMESTAMP '1970-01-01 00:00:00',
       ts BETWEEN TIMESTAMP '2000-01-01 00:00:00' AND TIMESTAMP '2026-01-01 00:00:00',
       CAST(ts AS DATE) = DATE '2024-02-29',
       CAST(ts AS DATE) > DATE '1999-12-31',
       ts > us - INTERVAL '1' DAY,
       ts = '2026-01-01 00:00:00'
FROM ev;
