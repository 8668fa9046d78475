-- The same without a primary key anywhere.
CREATE TABLE people (
  id INT,
  name STRING,
  city STRING,
  n BIGINT,
  ts TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/changes.json', 'format' = 'debezium-json');

CREATE TABLE answer (
  id INT,
  name STRING,
  city STRING,
  n BIGINT,
  ts TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT * FROM people;
