-- IS_ALPHA, IS_DIGIT, IS_DECIMAL.
CREATE TABLE ev (
  id INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 BOOLEAN,
  f2 BOOLEAN,
  f3 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       IS_ALPHA(s),
       IS_DIGIT(s),
       IS_DECIMAL(s)
FROM ev;
