-- A SELECT without a table.
CREATE TABLE answer (
  a INT,
  b STRING,
  c DATE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT 1 + 1, 'a' || 'b', DATE '2026-02-03';
