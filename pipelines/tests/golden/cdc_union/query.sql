-- Two tables that change.
CREATE TABLE people (
  id INT,
  name STRING,
  city STRING,
  n BIGINT,
  ts TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/changes.json', 'format' = 'debezium-json');

CREATE TABLE answer (
  what STRING,
  x STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT 'name', name FROM people
UNION ALL
SELECT 'city', city FROM people WHERE n > 0;
