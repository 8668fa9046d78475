-- Changes out of Canal: an update tells the old values of what changed.
CREATE TABLE people (
  id INT,
  name STRING,
  city STRING,
  n BIGINT,
  ts TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/changes.json', 'format' = 'canal-json');

CREATE TABLE answer (
  id INT,
  name STRING,
  city STRING,
  n BIGINT,
  ts TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT * FROM people;
