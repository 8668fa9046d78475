-- A sink keyed by two group columns, in another order.
CREATE TABLE ev (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  c STRING,
  k INT,
  n BIGINT,
  av DOUBLE,
  PRIMARY KEY (k, c) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT c, k, COUNT(*), AVG(d) FROM ev WHERE c IS NOT NULL GROUP BY k, c;
