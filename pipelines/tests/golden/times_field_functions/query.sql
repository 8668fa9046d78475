-- Fields of times as functions.
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
  f10 BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       YEAR(ts),
       QUARTER(ts),
       MONTH(ts),
       WEEK(ts),
       DAYOFYEAR(ts),
       DAYOFMONTH(ts),
       DAYOFWEEK(ts),
       HOUR(ts),
       MINUTE(ts),
       SECOND(ts)
FROM ev;
