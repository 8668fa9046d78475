-- What is no change is passed over.
CREATE TABLE p (
  id INT,
  name STRING,
  price DECIMAL(10, 2),
  made TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'debezium-json', 'debezium-json.ignore-parse-errors' = 'true');

CREATE TABLE answer (
  id INT,
  name STRING,
  price DECIMAL(10, 2),
  made TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT * FROM p;
