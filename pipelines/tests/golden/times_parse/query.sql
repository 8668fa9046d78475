-- Times out of text and numbers.
CREATE TABLE ev (
  id INT,
  s STRING,
  u STRING,
  n BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 TIMESTAMP(3),
  f2 TIMESTAMP(3),
  f3 TIMESTAMP_LTZ(3),
  f4 TIMESTAMP_LTZ(3),
  f5 TIMESTAMP_LTZ(3),
  f6 STRING,
  f7 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       TO_TIMESTAMP(s),
       TO_TIMESTAMP(u, 'dd.MM.yyyy HH:mm'),
       TO_TIMESTAMP_LTZ(n, 3),
       TO_TIMESTAMP_LTZ(n / 1000, 0),
       TO_TIMESTAMP_LTZ(n),
       FROM_UNIXTIME(n / 1000),
       FROM_UNIXTIME(n / 1000, 'yyyy/MM/dd HH')
FROM ev;
