-- DATE_FORMAT with the letters in use.
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3)
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
       DATE_FORMAT(ts, 'yyyy-MM-dd'),
       DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm:ss'),
       DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm:ss.SSS'),
       DATE_FORMAT(ts, 'yyyyMMddHH'),
       DATE_FORMAT(ts, 'HH:mm'),
       DATE_FORMAT(ts, 'yy/M/d h:m a'),
       DATE_FORMAT(ts, 'EEE, dd MMM yyyy'),
       DATE_FORMAT(ts, 'EEEE MMMM'),
       DATE_FORMAT(ts, 'yyyy-MM-dd''T''HH:mm:ss'),
       DATE_FORMAT(ts, 'DDD'),
       DATE_FORMAT(ts, 'yyyy'),
       DATE_FORMAT('2026-01-02 03:04:05', 'MM/dd')
FROM ev;
