-- JSON_EXISTS and IS JSON of each kind.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BOOLEAN,
  f2 BOOLEAN,
  f3 BOOLEAN,
  f4 BOOLEAN,
  f5 BOOLEAN,
  f6 BOOLEAN,
  f7 BOOLEAN,
  f8 BOOLEAN,
  f9 BOOLEAN,
  f10 BOOLEAN,
  f11 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       JSON_EXISTS(s, '$.a'),
       JSON_EXISTS(s, 'strict $.a.b' TRUE ON ERROR),
       JSON_EXISTS(s, 'strict $.x' UNKNOWN ON ERROR),
       JSON_EXISTS(s, 'lax $.x' TRUE ON ERROR),
       s IS JSON,
       s IS JSON VALUE,
       s IS JSON SCALAR,
       s IS JSON ARRAY,
       s IS JSON OBJECT,
       s IS NOT JSON,
       s IS NOT JSON ARRAY
FROM ev;
