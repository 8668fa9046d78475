-- Columns without a name, and twice the same.
CREATE TABLE ev (
  id INT,
  n INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 INT,
  f3 INT,
  f4 BIGINT,
  f5 STRING,
  f6 STRING,
  f7 STRING,
  f8 INT,
  f9 INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       n,
       n,
       CAST(n AS INT),
       CAST(n AS BIGINT),
       s,
       UPPER(s),
       UPPER(s),
       n + 1,
       n + 1
FROM ev;
