-- Groups by their size, with the sum so far.
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
  n BIGINT,
  s BIGINT,
  r BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, n, SUM(n) OVER (ORDER BY n), s
FROM (SELECT k, COUNT(*) AS n, SUM(v) AS s FROM items GROUP BY k);
