-- The changes of a table with a key, into one with a key.
-- Arrival decides: of the changes of a key the last one counts.
CREATE TABLE p (
  id INT,
  name STRING,
  price DECIMAL(10, 2),
  made TIMESTAMP(3),
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'debezium-json');

CREATE TABLE answer (
  id INT,
  name STRING,
  price DECIMAL(10, 2),
  made TIMESTAMP(3),
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT * FROM p;
