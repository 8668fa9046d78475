-- Precision and scale of results.
CREATE TABLE ev (
  id INT,
  p DECIMAL(10, 2),
  q DECIMAL(5, 4),
  r DECIMAL(38, 10),
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 STRING,
  f4 STRING,
  f5 STRING,
  f6 STRING,
  f7 STRING,
  f8 STRING,
  f9 STRING,
  f10 STRING,
  f11 STRING,
  f12 STRING,
  f13 DOUBLE,
  f14 STRING,
  f15 STRING,
  f16 STRING,
  f17 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CAST(p + q AS STRING),
       CAST(p - q AS STRING),
       CAST(p * q AS STRING),
       CAST(p / q AS STRING),
       CAST(p + n AS STRING),
       CAST(p * n AS STRING),
       CAST(p / n AS STRING),
       CAST(n / q AS STRING),
       CAST(r * p AS STRING),
       CAST(r / 3 AS STRING),
       CAST(r + r AS STRING),
       CAST(r / q AS STRING),
       p * 1.5e0,
       CAST(p % q AS STRING),
       CAST(-p AS STRING),
       CAST(p * 1.50 AS STRING),
       CAST(MOD(p, 3) AS STRING)
FROM ev;
