-- Orders of nobody.
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
  o INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT o FROM orders WHERE NOT EXISTS (SELECT 1 FROM people WHERE people.id = orders.person);
