-- JSON_VALUE with a type, JSON_QUERY, IS JSON.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 DOUBLE,
  f3 BOOLEAN,
  f4 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       JSON_VALUE(s, '$.a' RETURNING INT),
       JSON_VALUE(s, '$.f' RETURNING DOUBLE),
       JSON_VALUE(s, '$.t' RETURNING BOOLEAN),
       JSON_OBJECT('k' VALUE 'v', 'n' VALUE 1)
FROM ev;
