-- A null with a type counts as a value of that type: sums of INT start again from below.
CREATE TABLE answer (
  a BIGINT,
  b BIGINT,
  c BIGINT,
  n INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT a + 2147483647, b + 2147483647, c + 2147483647, n
FROM (VALUES (2, 2, CAST(NULL AS SMALLINT), 1), (CAST(NULL AS INT), CAST(NULL AS BIGINT), CAST(3 AS SMALLINT), 2)) AS t(a, b, c, n);
