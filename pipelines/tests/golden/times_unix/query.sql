-- UNIX_TIMESTAMP of text.
CREATE TABLE ev (
  id INT,
  s STRING,
  u STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BIGINT,
  f2 BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       UNIX_TIMESTAMP(s),
       UNIX_TIMESTAMP(u, 'dd.MM.yyyy HH:mm')
FROM ev;
