-- JSON_VALUE and JSON_EXISTS.
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
  f11 STRING,
  f12 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       JSON_VALUE(s, '$.a'),
       JSON_VALUE(s, '$.b'),
       JSON_VALUE(s, 'lax $.b.c'),
       JSON_VALUE(s, '$.c[2].d'),
       JSON_VALUE(s, '$.a.b[1].c'),
       JSON_VALUE(s, '$[1]'),
       JSON_VALUE(s, '$.n'),
       JSON_VALUE(s, '$.f'),
       JSON_VALUE(s, '$.ü'),
       JSON_VALUE(s, '$[''key with space'']'),
       JSON_VALUE(s, '$.none' DEFAULT 'empty' ON EMPTY),
       JSON_VALUE(s, '$.none' NULL ON EMPTY DEFAULT 'bad' ON ERROR)
FROM ev;
