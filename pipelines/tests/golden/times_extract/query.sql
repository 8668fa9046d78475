-- Fields of times and dates.
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3)
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
  f10 BIGINT,
  f11 BIGINT,
  f12 BIGINT,
  f13 BIGINT,
  f14 BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       EXTRACT(YEAR FROM ts),
       EXTRACT(QUARTER FROM ts),
       EXTRACT(MONTH FROM ts),
       EXTRACT(WEEK FROM ts),
       EXTRACT(DAY FROM ts),
       EXTRACT(DOY FROM ts),
       EXTRACT(DOW FROM ts),
       EXTRACT(HOUR FROM ts),
       EXTRACT(MINUTE FROM ts),
       EXTRACT(SECOND FROM ts),
       EXTRACT(MILLISECOND FROM ts),
       EXTRACT(EPOCH FROM ts),
       EXTRACT(YEAR FROM CAST(ts AS DATE)),
       EXTRACT(HOUR FROM CAST(ts AS TIMESTAMP_LTZ(3)))
FROM ev;
