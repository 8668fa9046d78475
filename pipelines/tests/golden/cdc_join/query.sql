-- Orders beside people who change: both inputs in any order.
-- Arrival decides: of the changes of a key the last one counts.
CREATE TABLE people (
  id INT,
  name STRING,
  city STRING,
  n BIGINT,
  ts TIMESTAMP(3),
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/changes.json', 'format' = 'debezium-json');

CREATE TABLE orders (
  o INT,
  person INT,
  amount INT,
  ts TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/orders.json', 'format' = 'json');

CREATE TABLE answer (
  o INT,
  name STRING,
  amount INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT o.o, p.name, o.amount
FROM orders AS o JOIN people AS p ON o.person = p.id;
