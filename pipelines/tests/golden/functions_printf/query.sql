-- PRINTF.
CREATE TABLE ev (
  id INT,
  s STRING,
  n INT,
  d DOUBLE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 STRING,
  f4 STRING,
  f5 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       PRINTF('%s|%d|%.2f', s, n, d),
       PRINTF('%10s|%-10s|', s, s),
       PRINTF('%05d %x %X %,d', n, n, n, n),
       PRINTF('%+.3f%%', d),
       PRINTF(s)
FROM ev;
