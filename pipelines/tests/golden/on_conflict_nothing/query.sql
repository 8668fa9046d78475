-- A sink keyed by another column than the query's: the first row of a key stands.
CREATE TABLE orders (
  id INT,
  cust INT,
  amount INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/orders.json', 'format' = 'json');

CREATE TABLE cust (
  id INT,
  name STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/cust.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  name STRING,
  amount INT,
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT o.id, c.name, o.amount FROM orders AS o LEFT JOIN cust AS c ON o.cust = c.id
ON CONFLICT DO NOTHING;
