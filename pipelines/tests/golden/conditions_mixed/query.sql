-- Comparisons across types.
CREATE TABLE ev (
  id INT,
  n INT,
  l BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
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
  f9 BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       n = l,
       n < d,
       p = d,
       p > n,
       l >= p,
       n = 1.0,
       d = 2.5,
       s > '1',
       n <> 2
FROM ev;
