-- PARSE_URL, URL_ENCODE, URL_DECODE.
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
  f10 STRING,
  f11 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       PARSE_URL(s, 'HOST'),
       PARSE_URL(s, 'PATH'),
       PARSE_URL(s, 'QUERY'),
       PARSE_URL(s, 'REF'),
       PARSE_URL(s, 'PROTOCOL'),
       PARSE_URL(s, 'FILE'),
       PARSE_URL(s, 'AUTHORITY'),
       PARSE_URL(s, 'USERINFO'),
       PARSE_URL(s, 'QUERY', 'k2'),
       URL_ENCODE(s),
       URL_DECODE(URL_ENCODE(s))
FROM ev;
