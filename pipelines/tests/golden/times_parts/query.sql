-- EXTRACT of the longer units.
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3),
  ltz TIMESTAMP_LTZ(3),
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BIGINT,
  f2 BIGINT,
  f3 BIGINT,
  f4 BIGINT,
  f5 BIGINT,
  f6 BIGINT,
  f7 BIGINT,
  f8 BIGINT,
  f9 BIGINT,
  f10 BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       EXTRACT(MILLENNIUM FROM ts),
       EXTRACT(CENTURY FROM ts),
       EXTRACT(DECADE FROM ts),
       EXTRACT(ISOYEAR FROM ts),
       EXTRACT(ISODOW FROM ts),
       EXTRACT(DOY FROM ts),
       EXTRACT(WEEK FROM ts),
       WEEK(CAST(ts AS DATE)),
       EXTRACT(EPOCH FROM ltz),
       DAYOFWEEK(ltz)
FROM ev;
