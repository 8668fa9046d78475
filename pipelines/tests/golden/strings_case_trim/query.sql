-- Case, trimming, length.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 INT,
  f4 INT,
  f5 STRING,
  f6 STRING,
  f7 STRING,
  f8 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       UPPER(s),
       LOWER(s),
       CHAR_LENGTH(s),
       CHARACTER_LENGTH(s || 'x'),
       TRIM(s),
       TRIM(LEADING ' ' FROM s),
       TRIM(TRAILING 'd' FROM s),
       TRIM(BOTH 'a' FROM s)
FROM ev;
