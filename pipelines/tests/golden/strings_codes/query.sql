-- Codes, digests and encodings.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 STRING,
  f3 STRING,
  f4 STRING,
  f5 STRING,
  f6 STRING,
  f7 STRING,
  f8 STRING,
  f9 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       ASCII(s),
       CHR(65 + CHAR_LENGTH(s)),
       MD5(s),
       SHA1(s),
       SHA256(s),
       TO_BASE64(s),
       FROM_BASE64(TO_BASE64(s)),
       HEX(s),
       DECODE(ENCODE(s, 'UTF-8'), 'UTF-8')
FROM ev;
