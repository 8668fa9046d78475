-- A condition beside the key.
-- Arrival decides: a version older than the newest one is passed over.
CREATE TABLE orders (
  id INT,
  cur STRING,
  amount DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/orders.json', 'format' = 'json');

CREATE TABLE rate_history (
  cur STRING,
  rate DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/rate_history.json', 'format' = 'json');

CREATE VIEW rates AS
SELECT cur, rate, ts
FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY cur ORDER BY ts DESC) AS place FROM rate_history)
WHERE place = 1;

CREATE TABLE answer (
  id INT,
  cur STRING,
  amount DECIMAL(10, 2),
  rate DECIMAL(10, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT o.id, o.cur, o.amount, r.rate
FROM orders AS o
LEFT JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON o.cur = r.cur AND r.rate > 1;
