-- Updates move rows into and out of a filter.
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

INSERT INTO answer SELECT id, UPPER(name), price * 2, made FROM p WHERE price > 1;
