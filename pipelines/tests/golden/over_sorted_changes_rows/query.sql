-- Rows that change, each with an answer of its own.
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
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, k, SUM(v) OVER w, COUNT(*) OVER w
FROM items
WINDOW w AS (PARTITION BY k ORDER BY id ROWS UNBOUNDED PRECEDING);
