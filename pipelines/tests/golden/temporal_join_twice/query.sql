-- Two versioned tables in a chain.
-- Arrival decides: a version older than the newest one is passed over.
CREATE TABLE orders (
  id INT,
  cur STRING,
  cust INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/orders.json', 'format' = 'json');

CREATE TABLE rate_history (
  cur STRING,
  rate INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/rate_history.json', 'format' = 'json');

CREATE TABLE tier_history (
  cust INT,
  tier STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/tier_history.json', 'format' = 'json');

CREATE VIEW rates AS
SELECT cur, rate, ts
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY cur ORDER BY ts DESC) AS n FROM rate_history)
WHERE n = 1;

CREATE VIEW tiers AS
SELECT cust, tier, ts
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY cust ORDER BY ts DESC) AS n FROM tier_history)
WHERE n = 1;

CREATE TABLE answer (
  id INT,
  rate INT,
  tier STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT o.id, r.rate, t.tier
FROM orders AS o
LEFT JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON o.cur = r.cur
LEFT JOIN tiers FOR SYSTEM_TIME AS OF o.ts AS t ON o.cust = t.cust;
