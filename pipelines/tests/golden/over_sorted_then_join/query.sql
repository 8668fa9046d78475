-- Answers that change are joined with rows that change.
-- Arrival decides: of the changes of a row the last one counts.
CREATE TABLE ev (
  id INT,
  k INT,
  o INT,
  v BIGINT,
  c STRING,
  d DOUBLE,
  ts TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE items (
  id INT,
  k INT,
  o INT,
  v BIGINT,
  c STRING,
  d DOUBLE,
  ts TIMESTAMP(3),
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/changes.json', 'format' = 'debezium-json');

CREATE TABLE answer (
  id INT,
  s BIGINT,
  o INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.id, l.s, r.o
FROM (SELECT id, SUM(v) OVER (PARTITION BY k ORDER BY o) AS s FROM ev) AS l
JOIN items AS r ON l.id = r.id;
