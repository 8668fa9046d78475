-- OVERLAY at all places.
CREATE TABLE ev (
  id INT,
  s STRING,
  n INT,
  m INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 STRING,
  f2 STRING,
  f3 STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       OVERLAY(s PLACING 'ZZ' FROM n),
       OVERLAY(s PLACING 'ZZ' FROM n FOR m),
       OVERLAY(s PLACING '' FROM 2 FOR 2)
FROM ev;
