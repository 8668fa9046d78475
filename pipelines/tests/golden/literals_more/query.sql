-- Literals: dates, times, intervals, bytes, unicode, exponents.
CREATE TABLE ev (
  id INT,
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 DATE,
  f2 TIME(0),
  f3 TIMESTAMP(9),
  f4 STRING,
  f5 BYTES,
  f6 STRING,
  f7 DOUBLE,
  f8 DOUBLE,
  f9 DECIMAL(10, 3),
  f10 BIGINT,
  f11 INT,
  f12 STRING,
  f13 STRING,
  f14 STRING,
  f15 STRING,
  f16 STRING,
  f17 DECIMAL(20, 2),
  f18 BOOLEAN,
  f19 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       DATE '2026-01-02',
       TIME '03:04:05',
       TIMESTAMP '2026-01-02 03:04:05.123456789',
       CAST(TIMESTAMP '2026-01-02 03:04:05.123' AS STRING),
       X'48656c6c6f',
       U&'\00e4\00f6',
       1e3,
       -2.5E-3,
       1.250,
       9223372036854775807,
       -2147483648,
       'a''b',
       TYPEOF(1.50),
       TYPEOF(1e0),
       TYPEOF(3000000000),
       TYPEOF(DATE '2026-01-02'),
       1.5 + 1,
       TRUE AND NOT FALSE,
       CAST(NULL AS BOOLEAN)
FROM ev;
