-- What INSERT converts by itself.
CREATE TABLE ev (
  id INT,
  t TINYINT,
  n INT,
  l BIGINT,
  f FLOAT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  dt DATE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 INT,
  f2 BIGINT,
  f3 DOUBLE,
  f4 DECIMAL(20, 2),
  f5 DECIMAL(20, 4),
  f6 DOUBLE,
  f7 DOUBLE,
  f8 TIMESTAMP(6),
  f9 TIMESTAMP_LTZ(3),
  f10 DECIMAL(10, 1),
  f11 BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       t,
       n,
       n,
       n,
       p,
       p,
       f,
       ts,
       ts,
       p,
       t + n
FROM ev;
