-- CAST between kinds of time.
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3),
  us TIMESTAMP(6),
  ltz TIMESTAMP_LTZ(3),
  d DATE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 DATE,
  f2 TIMESTAMP(0),
  f3 TIMESTAMP(6),
  f4 TIMESTAMP(3),
  f5 TIMESTAMP(0),
  f6 TIMESTAMP_LTZ(3),
  f7 TIMESTAMP(3),
  f8 DATE,
  f9 TIMESTAMP(3),
  f10 TIMESTAMP_LTZ(3),
  f11 TIMESTAMP(6),
  f12 TIMESTAMP_LTZ(3),
  f13 DATE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CAST(ts AS DATE),
       CAST(ts AS TIMESTAMP(0)),
       CAST(ts AS TIMESTAMP(6)),
       CAST(us AS TIMESTAMP(3)),
       CAST(us AS TIMESTAMP(0)),
       CAST(ts AS TIMESTAMP_LTZ(3)),
       CAST(ltz AS TIMESTAMP(3)),
       CAST(ltz AS DATE),
       CAST(d AS TIMESTAMP(3)),
       CAST(d AS TIMESTAMP_LTZ(3)),
       us,
       ltz,
       d
FROM ev;
