-- Nulls and mixed types in VALUES.
CREATE TABLE answer (
  a INT,
  b DECIMAL(10, 2),
  c STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT a, b, c FROM (VALUES (1, 1.5, 'abc'), (CAST(NULL AS INT), 22.25, 'd'), (3, 0.1, CAST(NULL AS STRING))) AS t(a, b, c);
