-- TYPEOF of columns and expressions.
CREATE TABLE ev (
  id INT,
  n INT,
  s STRING,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  a ARRAY<INT>,
  m MAP<STRING, INT>
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
  f13 STRING,
  f14 STRING,
  f15 STRING,
  f16 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       TYPEOF(n),
       TYPEOF(s),
       TYPEOF(p),
       TYPEOF(ts),
       TYPEOF(a),
       TYPEOF(m),
       TYPEOF(n + 1),
       TYPEOF(CAST(n AS BIGINT)),
       TYPEOF(p * p),
       TYPEOF(p / p),
       TYPEOF(p + n),
       TYPEOF(n / p),
       TYPEOF(p % p),
       TYPEOF(n * 1.5),
       TYPEOF(a[1]),
       TYPEOF(CAST(ts AS DATE))
FROM ev;
