-- A table that changes, with itself.
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
  a INT,
  b INT,
  city STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT x.id, y.id, x.city
FROM people AS x JOIN people AS y ON x.city = y.city AND x.id < y.id;
