-- Rows written out in the statement.
CREATE TABLE answer (
  a INT,
  b STRING,
  c DOUBLE,
  d DECIMAL(10, 2),
  e BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
VALUES
  (1, 'one', 1.5e0, 2.25, TRUE),
  (2, 'two', -2e3, 0.5, FALSE),
  (3, CAST(NULL AS STRING), 0e0, CAST(NULL AS DECIMAL(10, 2)), CAST(NULL AS BOOLEAN));
