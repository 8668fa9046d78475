-- ASCII, CHR, HEX, UNHEX, BIN.
CREATE TABLE ev (
  id INT,
  s STRING,
  n INT,
  l BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 STRING,
  f3 STRING,
  f4 STRING,
  f5 STRING,
  f6 BYTES,
  f7 BYTES,
  f8 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       ASCII(s),
       CHR(n),
       HEX(s),
       HEX(l),
       BIN(l),
       UNHEX(HEX(s)),
       UNHEX(s),
       HEX(n)
FROM ev;
