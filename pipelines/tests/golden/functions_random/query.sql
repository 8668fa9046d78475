-- What holds of RAND, RAND_INTEGER and UUID.
CREATE TABLE ev (
  id INT,
  n INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BOOLEAN,
  f2 BOOLEAN,
  f3 INT,
  f4 BOOLEAN,
  f5 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       RAND() >= 0 AND RAND() < 1,
       RAND_INTEGER(5) BETWEEN 0 AND 4,
       CHAR_LENGTH(UUID()),
       REGEXP(UUID(), '^[0-9a-f-]{36}$'),
       RAND(42) < 1
FROM ev;
