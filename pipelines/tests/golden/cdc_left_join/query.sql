-- The same, left.
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
  city STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT o.o, p.name, p.city
FROM orders AS o LEFT JOIN people AS p ON o.person = p.id;
