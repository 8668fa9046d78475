-- The versioned table is a table with a primary key and a watermark.
CREATE TABLE orders (
  id INT,
  cur STRING,
  amount DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/orders.json', 'format' = 'json');

CREATE TABLE rates (
  cur STRING,
  rate DECIMAL(10, 2),
  ts TIMESTAMP(3),
  PRIMARY KEY (cur) NOT ENFORCED,
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/rates.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  cur STRING,
  amount DECIMAL(10, 2),
  rate DECIMAL(10, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT o.id, o.cur, o.amount, r.rate
FROM orders AS o
LEFT JOIN rates FOR SYSTEM_TIME AS OF o.ts AS r ON o.cur = r.cur;
