-- VALUES as a table with column names.
CREATE TABLE answer (
  a INT,
  b STRING,
  c INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT a, UPPER(b), a * 10
FROM (VALUES (1, 'x'), (2, 'y'), (3, 'z'), (2, 'y')) AS t(a, b)
WHERE a <> 3;
