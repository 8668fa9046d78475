-- VALUES in parts of a union, and typed by the widest.
CREATE TABLE answer (
  x BIGINT,
  y STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT x, y FROM (VALUES (1, 'a'), (2, 'b')) AS t(x, y)
UNION ALL
SELECT x, y FROM (VALUES (CAST(30000000000 AS BIGINT), 'c')) AS u(x, y);
