-- Orders: lines taken apart, priced in EUR at the rate of the moment, with the customer's segment.
-- Arrival decides: a version older than the newest one is passed over.

CREATE TABLE orders (
  order_id    BIGINT,
  customer_id INT,
  currency    CHAR(3),
  lines       ARRAY<ROW<sku STRING, qty INT, price DECIMAL(10, 2)>>,
  ts          TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/orders.json', 'format' = 'json');

CREATE TABLE rate_changes (
  currency CHAR(3),
  to_eur   DECIMAL(8, 4),
  ts       TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/rates.json', 'format' = 'json');

CREATE TABLE customers (
  customer_id INT,
  name        STRING,
  segment     STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/customers.json', 'format' = 'json');

CREATE VIEW rates AS
SELECT currency, to_eur, ts
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY currency ORDER BY ts DESC) AS version
  FROM rate_changes
)
WHERE version = 1;

CREATE VIEW priced AS
SELECT o.order_id, o.customer_id, o.lines, r.to_eur
FROM orders AS o
LEFT JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r
  ON o.currency = r.currency;

CREATE TABLE order_lines (
  order_id BIGINT,
  sku      STRING,
  eur      DECIMAL(20, 4),
  name     STRING,
  discount STRING
) WITH ('connector' = 'blackhole');

INSERT INTO order_lines
SELECT
  p.order_id,
  l.sku,
  CAST(l.qty * l.price * p.to_eur AS DECIMAL(20, 4)),
  COALESCE(c.name, 'guest'),
  CASE WHEN c.segment = 'gold' THEN '10%' WHEN c.segment IS NULL THEN 'none' ELSE '2%' END
FROM priced AS p
CROSS JOIN UNNEST(p.lines) AS l (sku, qty, price)
LEFT JOIN customers AS c ON p.customer_id = c.customer_id;
