-- The rows with the greatest sums so far.
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
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, s
FROM (
  SELECT id, s, ROW_NUMBER() OVER (ORDER BY s DESC, id) AS rn
  FROM (SELECT id, SUM(v) OVER (PARTITION BY k ORDER BY o) AS s FROM items)
)
WHERE rn <= 5;
