-- JSON_QUERY with wrappers and what is done where there is nothing.
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
       JSON_QUERY(s, '$.c'),
       JSON_QUERY(s, 'lax $.c'),
       JSON_QUERY(s, '$.a' WITH WRAPPER),
       JSON_QUERY(s, '$.a' WITH CONDITIONAL WRAPPER),
       JSON_QUERY(s, 'lax $.none' EMPTY ARRAY ON EMPTY),
       JSON_QUERY(s, 'strict $.none' EMPTY OBJECT ON ERROR),
       JSON_QUERY(s, '$'),
       JSON_QUERY(s, '$.a[*].x' WITH WRAPPER),
       JSON_QUERY(s, '$.a[0]'),
       JSON_QUERY(s, '$.z'),
       JSON_QUERY(s, '$.e' WITHOUT ARRAY WRAPPER NULL ON EMPTY NULL ON ERROR)
FROM ev;
