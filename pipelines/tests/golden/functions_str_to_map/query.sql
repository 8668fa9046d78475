-- STR_TO_MAP.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 MAP<STRING, STRING>,
  f2 MAP<STRING, STRING>,
  f3 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       STR_TO_MAP(s),
       STR_TO_MAP(s, ';', ':'),
       STR_TO_MAP(s)['a']
FROM ev;
