-- TIME of day.
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3),
  t TIME(0)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 TIME(0),
  f2 TIME(0),
  f3 BIGINT,
  f4 STRING,
  f5 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CAST(ts AS TIME(0)),
       t,
       EXTRACT(HOUR FROM t),
       CAST(t AS STRING),
       t > TIME '12:00:00'
FROM ev;
