-- A version a pair of keys.
-- Arrival decides: a version older than the newest one is passed over.
CREATE TABLE sales (
  id INT,
  shop INT,
  item STRING,
  n INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/sales.json', 'format' = 'json');

CREATE TABLE price_changes (
  shop INT,
  item STRING,
  price INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/price_changes.json', 'format' = 'json');

CREATE VIEW prices AS
SELECT shop, item, price, ts
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY shop, item ORDER BY ts DESC) AS n FROM price_changes)
WHERE n = 1;

CREATE TABLE answer (
  id INT,
  shop INT,
  item STRING,
  revenue INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT s.id, s.shop, s.item, s.n * p.price
FROM sales AS s
LEFT JOIN prices FOR SYSTEM_TIME AS OF s.ts AS p ON s.shop = p.shop AND s.item = p.item;
