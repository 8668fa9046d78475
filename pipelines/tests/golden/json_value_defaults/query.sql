-- JSON_VALUE with RETURNING and defaults.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 INT,
  f3 INT,
  f4 STRING,
  f5 STRING,
  f6 DOUBLE,
  f7 STRING,
  f8 STRING,
  f9 STRING,
  f10 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       JSON_VALUE(s, '$.a'),
       JSON_VALUE(s, '$.a' RETURNING INT),
       JSON_VALUE(s, 'lax $.a' RETURNING INT DEFAULT 5 ON EMPTY DEFAULT 6 ON ERROR),
       JSON_VALUE(s, 'lax $.b' DEFAULT 'empty' ON EMPTY DEFAULT 'error' ON ERROR),
       JSON_VALUE(s, 'strict $.b' DEFAULT 'empty' ON EMPTY DEFAULT 'error' ON ERROR),
       JSON_VALUE(s, '$.e.f' RETURNING DOUBLE),
       JSON_VALUE(s, '$.e.f'),
       JSON_VALUE(s, '$[1]'),
       JSON_VALUE(s, '$'),
       JSON_VALUE(s, 'lax $.c' DEFAULT 'x' ON EMPTY)
FROM ev;
