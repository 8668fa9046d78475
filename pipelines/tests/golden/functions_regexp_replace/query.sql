-- REGEXP_REPLACE with groups, look-around and bad patterns.
CREATE TABLE ev (
  id INT,
  s STRING,
  r STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 STRING,
  f4 STRING,
  f5 BOOLEAN,
  f6 BOOLEAN,
  f7 BOOLEAN,
  f8 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       REGEXP_REPLACE(s, r, '#'),
       REGEXP_REPLACE(s, '(\w)(\w)', '$2$1'),
       REGEXP_REPLACE(s, '\.', ''),
       REGEXP_REPLACE(s, '(?!a)[a-c]', '_'),
       REGEXP(s, r),
       s SIMILAR TO '%X%',
       s LIKE '%!_%' ESCAPE '!',
       s NOT SIMILAR TO '[a-z]+'
FROM ev;
