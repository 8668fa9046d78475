-- Groups that come and go.
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
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT city, COUNT(*) FROM people GROUP BY city HAVING COUNT(*) >= 2;
