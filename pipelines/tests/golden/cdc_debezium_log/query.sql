-- Changes of Debezium as they are.
CREATE TABLE p (
  id INT,
  name STRING,
  price DECIMAL(10, 2),
  made TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'debezium-json');

CREATE TABLE answer (
  id INT,
  name STRING,
  price DECIMAL(10, 2),
  made TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT * FROM p;
