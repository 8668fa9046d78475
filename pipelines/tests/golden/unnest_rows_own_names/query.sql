-- Fields under their own names.
CREATE TABLE t (
  id INT,
  k INT,
  xs ARRAY<ROW<sku STRING, qty INT, price DECIMAL(10, 2)>>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  sku STRING,
  total DECIMAL(20, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, u.sku, u.qty * u.price FROM t CROSS JOIN UNNEST(xs) AS u;
