-- Messages that carry their schema.
CREATE TABLE people (
  id INT,
  name STRING,
  city STRING,
  n BIGINT,
  ts TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/changes.json', 'format' = 'debezium-json', 'debezium-json.schema-include' = 'true');

CREATE TABLE answer (
  id INT,
  name STRING,
  city STRING,
  n BIGINT,
  ts TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT * FROM people;
