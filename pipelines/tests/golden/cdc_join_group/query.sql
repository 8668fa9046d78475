-- An aggregate over such a join.
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
  city STRING,
  n BIGINT,
  total INT,
  PRIMARY KEY (city) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT p.city, COUNT(*), SUM(o.amount)
FROM orders AS o JOIN people AS p ON o.person = p.id
GROUP BY p.city;
