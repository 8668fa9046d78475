-- Distinct values of a table that changes.
-- Arrival decides: of the changes of a key the last one counts.
CREATE TABLE people (
  id INT,
  name STRING,
  city STRING,
  n BIGINT,
  ts TIMESTAMP(3),
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/changes.json', 'format' = 'debezium-json');

CREATE TABLE answer (
  name STRING,
  city STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT DISTINCT name, city FROM people;
