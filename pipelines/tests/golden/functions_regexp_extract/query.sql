-- REGEXP_EXTRACT and the other searches.
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
  f6 ARRAY<STRING>,
  f7 ARRAY<STRING>,
  f8 ARRAY<STRING>,
  f9 INT,
  f10 INT,
  f11 STRING,
  f12 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       REGEXP_EXTRACT(s, '(\d+)-(\d+)', 1),
       REGEXP_EXTRACT(s, '(\d+)-(\d+)', 2),
       REGEXP_EXTRACT(s, '(\d+)-(\d+)', 3),
       REGEXP_EXTRACT(s, 'foo(.*?)(bar)', 2),
       REGEXP_EXTRACT(s, '[a-z]+'),
       REGEXP_EXTRACT_ALL(s, '(\d+)-(\d+)', 1),
       REGEXP_EXTRACT_ALL(s, '(\d+)', 1),
       REGEXP_EXTRACT_ALL(s, '\d+', 0),
       REGEXP_COUNT(s, '\d+'),
       REGEXP_INSTR(s, '\d'),
       REGEXP_SUBSTR(s, '\d+'),
       REGEXP(s, '^\w+$')
FROM ev;
