-- How far do visitors of each arm of a test get? One row an arm, kept up to date.
CREATE TABLE page_events (
  user_id   BIGINT,
  event     ROW<name STRING, arm STRING>,
  happened  TIMESTAMP(3),
  WATERMARK FOR happened AS happened
) WITH (
  'connector' = 'filesystem', 'path' = '${CASE}/events.json',
  'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TABLE funnel (
  arm          STRING,
  visitors     BIGINT,
  saw_product  BIGINT,
  filled_cart  BIGINT,
  paid         BIGINT,
  conversion   DOUBLE,
  PRIMARY KEY (arm) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO funnel
WITH furthest AS (
  SELECT
    event.arm AS arm,
    user_id,
    MAX(CASE event.name
          WHEN 'visit' THEN 1
          WHEN 'product' THEN 2
          WHEN 'cart' THEN 3
          WHEN 'checkout' THEN 4
          WHEN 'paid' THEN 5
        END) AS step
  FROM page_events
  GROUP BY event.arm, user_id
)
SELECT
  arm,
  COUNT(*),
  COUNT(*) FILTER (WHERE step >= 2),
  COUNT(*) FILTER (WHERE step >= 3),
  SUM(CASE WHEN step = 5 THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END),
  ROUND(CAST(COUNT(*) FILTER (WHERE step = 5) AS DOUBLE) / COUNT(*), 4)
FROM furthest
GROUP BY arm;
