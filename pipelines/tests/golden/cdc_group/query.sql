-- An aggregate over a table that changes.
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
  city STRING,
  people BIGINT,
  s BIGINT,
  lo BIGINT,
  hi BIGINT,
  names BIGINT,
  PRIMARY KEY (city) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT city, COUNT(*), SUM(n), MIN(n), MAX(n), COUNT(DISTINCT name)
FROM people
GROUP BY city;
