-- DATE_FORMAT, TO_TIMESTAMP and UNIX_TIMESTAMP with patterns.
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3),
  ltz TIMESTAMP_LTZ(3),
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 STRING,
  f4 STRING,
  f5 STRING,
  f6 TIMESTAMP(3),
  f7 TIMESTAMP(3),
  f8 BIGINT,
  f9 BIGINT,
  f10 DATE,
  f11 DATE,
  f12 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm:ss.SSS'),
       DATE_FORMAT(ts, 'dd/MM/yy hh:mm a'),
       DATE_FORMAT(ts, 'EEEE, d MMMM yyyy'),
       DATE_FORMAT(ts, 'D H k K s'),
       DATE_FORMAT(ltz, 'yyyy-MM-dd''T''HH:mm'),
       TO_TIMESTAMP(DATE_FORMAT(ts, 'yyyyMMddHHmmss'), 'yyyyMMddHHmmss'),
       TO_TIMESTAMP(DATE_FORMAT(ts, 'MMM d, yyyy'), 'MMM d, yyyy'),
       UNIX_TIMESTAMP(DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm:ss')),
       UNIX_TIMESTAMP(DATE_FORMAT(ts, 'dd.MM.yyyy'), 'dd.MM.yyyy'),
       TO_DATE(DATE_FORMAT(ts, 'yyyy-MM-dd')),
       TO_DATE(DATE_FORMAT(ts, 'dd.MM.yyyy'), 'dd.MM.yyyy'),
       FROM_UNIXTIME(n * 86400)
FROM ev;
