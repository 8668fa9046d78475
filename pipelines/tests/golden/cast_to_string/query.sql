-- CAST to text.
CREATE TABLE ev (
  id INT,
  a INT,
  d DOUBLE,
  f FLOAT,
  p DECIMAL(10, 3),
  x BOOLEAN,
  ts TIMESTAMP(3),
  l BIGINT
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
  f12 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       CAST(a AS STRING),
       CAST(d AS STRING),
       CAST(f AS STRING),
       CAST(p AS STRING),
       CAST(x AS STRING),
       CAST(ts AS STRING),
       CAST(CAST(ts AS DATE) AS STRING),
       CAST(CAST(ts AS TIMESTAMP(0)) AS STRING),
       CAST(CAST(ts AS TIMESTAMP_LTZ(3)) AS STRING),
       CAST(l AS VARCHAR(5)),
       CAST(a AS CHAR(3)),
       CAST('abcdef' AS VARCHAR(4))
FROM ev;
