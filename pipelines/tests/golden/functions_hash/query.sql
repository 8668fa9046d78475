-- MD5 and the SHA family.
CREATE TABLE ev (
  id INT,
  s STRING
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
  f10 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       MD5(s),
       SHA1(s),
       SHA224(s),
       SHA256(s),
       SHA384(s),
       SHA512(s),
       SHA2(s, 224),
       SHA2(s, 256),
       SHA2(s, 384),
       SHA2(s, 512)
FROM ev;
