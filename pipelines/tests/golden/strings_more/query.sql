-- Further functions of strings.
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
  f11 INT,
  f12 INT,
  f13 INT,
  f14 BOOLEAN,
  f15 BOOLEAN,
  f16 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       INITCAP(s),
       LTRIM(s),
       RTRIM(s),
       BTRIM(s),
       REVERSE(s),
       REPEAT(s, 2),
       SUBSTR(s, 1, 4),
       LEFT(s, 3),
       RIGHT(s, 3),
       OVERLAY(s PLACING 'ZZ' FROM 2 FOR 3),
       INSTR(s, 'o'),
       LOCATE('o', s),
       LOCATE('o', s, 6),
       s SIMILAR TO '(a|b|x).*',
       STARTSWITH(s, 'a'),
       ENDSWITH(s, 'c')
FROM ev;
