-- People as they were at the time of the order: a versioned table with deletes, each of which
-- tells its own time.
CREATE TABLE people (
  id INT,
  name STRING,
  city STRING,
  n BIGINT,
  ts TIMESTAMP(3),
  PRIMARY KEY (id) NOT ENFORCED,
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/changes.json', 'format' = 'debezium-json');

CREATE TABLE orders (
  o INT,
  person INT,
  amount INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/orders.json', 'format' = 'json');

CREATE TABLE answer (
  o INT,
  name STRING,
  city STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT o.o, p.name, p.city
FROM orders AS o
LEFT JOIN people FOR SYSTEM_TIME AS OF o.ts AS p ON o.person = p.id;
