-- One group of all.
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
  people BIGINT,
  s BIGINT,
  av BIGINT,
  cities BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT COUNT(*), SUM(n), AVG(n), COUNT(DISTINCT city) FROM people;
