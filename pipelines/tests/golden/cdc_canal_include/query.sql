-- Changes of one database and some tables.
CREATE TABLE p (
  id INT,
  name STRING,
  price DECIMAL(10, 2),
  made TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'canal-json', 'canal-json.database.include' = 'shop|store', 'canal-json.table.include' = 'p.*');

CREATE TABLE answer (
  name STRING,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT name, COUNT(price) FROM p GROUP BY name;
