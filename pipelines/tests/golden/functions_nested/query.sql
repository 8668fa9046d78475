-- Functions of functions.
CREATE TABLE ev (
  id INT,
  s STRING,
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 INT,
  f3 STRING,
  f4 INT,
  f5 STRING,
  f6 STRING,
  f7 STRING,
  f8 STRING,
  f9 DOUBLE,
  f10 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       UPPER(SUBSTRING(REVERSE(s) FROM 1 FOR 3)),
       CHAR_LENGTH(REPEAT(s, 2)) + n,
       COALESCE(STR_TO_MAP(s)['a'], 'none'),
       CARDINALITY(SPLIT(s, ',')),
       ARRAY_JOIN(ARRAY_REVERSE(SPLIT(s, ',')), '+'),
       MD5(CONCAT_WS('|', s, CAST(n AS STRING))),
       JSON_VALUE(JSON_OBJECT('k' VALUE s), '$.k'),
       IF(CHAR_LENGTH(s) > 3, LEFT(s, 3) || '...', LPAD(s, 3, '.')),
       ROUND(SQRT(POWER(n, 2)), 2),
       CASE WHEN REGEXP(s, '^[a-z]=') THEN ELT(2, 'p', SPLIT_INDEX(s, '=', 1)) ELSE TRIM(s) END
FROM ev;
