-- Answers that change are grouped.
-- Arrival decides: of the changes of a row the last one counts.
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
  s BIGINT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT s, COUNT(*)
FROM (SELECT id, SUM(v) OVER (PARTITION BY k ORDER BY o) AS s FROM items)
GROUP BY s;
