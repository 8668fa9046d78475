-- TIME: casts, comparisons, parts.
CREATE TABLE ev (
  id INT,
  t TIME(0),
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 TIME(0),
  f3 TIME(0),
  f4 BIGINT,
  f5 BIGINT,
  f6 BIGINT,
  f7 BOOLEAN,
  f8 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CAST(t AS STRING),
       CAST(s AS TIME(0)),
       TRY_CAST(s AS TIME(0)),
       EXTRACT(HOUR FROM t),
       EXTRACT(MINUTE FROM t),
       EXTRACT(SECOND FROM t),
       t > TIME '12:00:00',
       t BETWEEN TIME '00:00:00' AND TIME '12:34:56'
FROM ev;
