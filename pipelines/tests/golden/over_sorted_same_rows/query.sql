-- Rows without a key that are equal: of those one goes.
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
  k INT,
  o INT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, o, SUM(o) OVER (PARTITION BY k ORDER BY o ROWS UNBOUNDED PRECEDING)
FROM items;
