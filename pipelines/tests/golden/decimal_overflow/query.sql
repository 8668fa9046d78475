-- What does not fit a decimal is null.
CREATE TABLE ev (
  id INT,
  p DECIMAL(38, 0),
  q DECIMAL(20, 10)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 DECIMAL(38, 0),
  f2 DECIMAL(38, 0),
  f3 DECIMAL(5, 2),
  f4 DECIMAL(5, 2),
  f5 DECIMAL(38, 6),
  f6 DECIMAL(38, 6),
  f7 DECIMAL(10, 3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       p + p,
       p * 10,
       CAST(p AS DECIMAL(5, 2)),
       CAST(q AS DECIMAL(5, 2)),
       q * q,
       q * q * q * q,
       TRY_CAST(q AS DECIMAL(10, 3))
FROM ev;
