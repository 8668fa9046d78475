-- The same, left.
CREATE TABLE t (
  id INT,
  k INT,
  xs ARRAY<ROW<sku STRING, qty INT, price DECIMAL(10, 2)>>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  sku STRING,
  qty INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, sku, qty FROM t LEFT JOIN UNNEST(xs) AS u(sku, qty, price) ON TRUE;
