-- Counts follow the changes, the schema is in the messages.
-- Arrival decides: of the changes of a key the last one counts.
CREATE TABLE p (
  id INT,
  name STRING,
  price DECIMAL(10, 2),
  made TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'debezium-json', 'debezium-json.schema-include' = 'true');

CREATE TABLE answer (
  name STRING,
  n BIGINT,
  total DECIMAL(38, 2),
  high DECIMAL(10, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT name, COUNT(*), SUM(price), MAX(price) FROM p GROUP BY name;
