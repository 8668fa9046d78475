-- JSON_EXISTS, JSON_QUERY, IS JSON.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BOOLEAN,
  f2 BOOLEAN,
  f3 STRING,
  f4 STRING,
  f5 BOOLEAN,
  f6 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       JSON_EXISTS(s, '$.a'),
       JSON_EXISTS(s, '$.b.c'),
       JSON_QUERY(s, '$.c'),
       JSON_QUERY(s, '$.o'),
       s IS JSON,
       s IS JSON OBJECT
FROM ev;
