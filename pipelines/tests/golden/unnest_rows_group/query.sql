-- Revenue of each article.
CREATE TABLE t (
  id INT,
  k INT,
  xs ARRAY<ROW<sku STRING, qty INT, price DECIMAL(10, 2)>>
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  sku STRING,
  n BIGINT,
  revenue DECIMAL(38, 2),
  PRIMARY KEY (sku) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT sku, SUM(qty), SUM(qty * price)
FROM t CROSS JOIN UNNEST(xs) AS u(sku, qty, price)
GROUP BY sku;
