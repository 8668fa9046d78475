-- Timestamps of ISO 8601, with and without a zone.
CREATE TABLE ev (
  id INT,
  ts TIMESTAMP(3),
  z TIMESTAMP_LTZ(3),
  t TIME(0)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601');

CREATE TABLE answer (
  id INT,
  ts TIMESTAMP(3),
  z TIMESTAMP_LTZ(3),
  t TIME(0)
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT * FROM ev;
