-- First and last values as rows arrive, nulls passed over.
-- Arrival decides: values are taken in the order in which they came.
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
  k INT,
  f BIGINT,
  l BIGINT,
  fc STRING,
  ld DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, FIRST_VALUE(v), LAST_VALUE(v), FIRST_VALUE(c), LAST_VALUE(d) FROM ev GROUP BY k;
