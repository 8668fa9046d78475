-- Both inputs have primary keys: one row a key, so the result has one too.
CREATE TABLE orders (
  id INT,
  cust INT,
  amount DECIMAL(10, 2),
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/orders.json', 'format' = 'json');

CREATE TABLE cust (
  id INT,
  name STRING,
  city STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/cust.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  name STRING,
  city STRING,
  amount DECIMAL(10, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT o.id, c.name, c.city, o.amount
FROM orders AS o LEFT JOIN cust AS c ON o.cust = c.id;
