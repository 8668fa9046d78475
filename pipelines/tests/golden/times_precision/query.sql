-- Timestamps of each precision.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 TIMESTAMP(0),
  f2 TIMESTAMP(3),
  f3 TIMESTAMP(3),
  f4 TIMESTAMP(6),
  f5 TIMESTAMP(6),
  f6 TIMESTAMP(9),
  f7 TIMESTAMP(9),
  f8 STRING,
  f9 STRING,
  f10 STRING,
  f11 BOOLEAN,
  f12 TIMESTAMP(3),
  f13 DATE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CAST(s AS TIMESTAMP(0)),
       CAST(s AS TIMESTAMP(1)),
       CAST(s AS TIMESTAMP(3)),
       CAST(s AS TIMESTAMP),
       CAST(s AS TIMESTAMP(4)),
       CAST(s AS TIMESTAMP(9)),
       CAST(s AS TIMESTAMP(8)),
       CAST(CAST(s AS TIMESTAMP(0)) AS STRING),
       CAST(CAST(s AS TIMESTAMP(6)) AS STRING),
       CAST(CAST(s AS TIMESTAMP(9)) AS STRING),
       CAST(s AS TIMESTAMP(3)) = CAST(s AS TIMESTAMP(9)),
       CAST(CAST(s AS TIMESTAMP(9)) AS TIMESTAMP(3)),
       CAST(s AS DATE)
FROM ev;
