-- Rows that change and go, change the answers to others.
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
  id INT,
  k INT,
  s BIGINT,
  n BIGINT,
  lo BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, SUM(v) OVER w, COUNT(v) OVER w, MIN(v) OVER w
FROM items
WINDOW w AS (PARTITION BY k ORDER BY o);
