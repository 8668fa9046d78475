-- The greatest rows of each city.
-- Arrival decides: of the changes of a key the last one counts.
CREATE TABLE people (
  id INT,
  name STRING,
  city STRING,
  n BIGINT,
  ts TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/changes.json', 'format' = 'debezium-json');

CREATE TABLE answer (
  city STRING,
  place BIGINT,
  id INT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT city, place, id, n
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY city ORDER BY n DESC, id) AS place FROM people
)
WHERE place <= 2;
