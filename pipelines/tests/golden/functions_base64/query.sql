-- TO_BASE64, FROM_BASE64, ENCODE, DECODE.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 BYTES,
  f4 BYTES,
  f5 BYTES,
  f6 BYTES,
  f7 STRING,
  f8 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       TO_BASE64(s),
       FROM_BASE64(TO_BASE64(s)),
       ENCODE(s, 'UTF-8'),
       ENCODE(s, 'UTF-16BE'),
       ENCODE(s, 'US-ASCII'),
       ENCODE(s, 'ISO-8859-1'),
       DECODE(ENCODE(s, 'UTF-16LE'), 'UTF-16LE'),
       DECODE(ENCODE(s, 'ISO-8859-1'), 'ISO-8859-1')
FROM ev;
