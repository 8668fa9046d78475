-- Literals of each kind.
CREATE TABLE ev (
  id INT,
  a INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 BIGINT,
  f3 DECIMAL(3, 2),
  f4 DOUBLE,
  f5 STRING,
  f6 STRING,
  f7 BOOLEAN,
  f8 DATE,
  f9 TIMESTAMP(0),
  f10 TIMESTAMP(3),
  f11 BIGINT,
  f12 ARRAY<INT>,
  f13 INT,
  f14 DECIMAL(12, 1),
  f15 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       1,
       3000000000,
       1.50,
       1.5E0,
       'it''s',
       U&'\00fc',
       TRUE,
       DATE '2026-01-02',
       TIMESTAMP '2026-01-02 03:04:05',
       TIMESTAMP '2026-01-02 03:04:05.678',
       CAST(NULL AS BIGINT),
       ARRAY[1, 2, 3],
       -5,
       1.5 + 1,
       'a' || 'b'
FROM ev;
