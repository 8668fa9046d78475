-- Changes of Maxwell, with timestamps of ISO 8601.
CREATE TABLE p (
  id INT,
  name STRING,
  price DECIMAL(10, 2),
  made TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'maxwell-json', 'maxwell-json.timestamp-format.standard' = 'ISO-8601');

CREATE TABLE answer (
  id INT,
  name STRING,
  price DECIMAL(10, 2),
  made TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT * FROM p;
