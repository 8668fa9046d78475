-- Subscriptions by country and plan: net adds an hour, and the nowcast of the day's sign-ups with
-- promotions as a regressor.
SET 'pipeline.name' = 'subscriptions';

CREATE TABLE subscriptions (
  event_time    TIMESTAMP(3),
  subscriber_id BIGINT,
  event_type    STRING,
  plan          STRING,
  old_plan      STRING,
  country       STRING,
  promotion     STRING,
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${SUBSCRIPTIONS_TOPIC:-subscriptions}',
  'properties.bootstrap.servers' = '${KAFKA_BOOTSTRAP_SERVERS:-embedded}',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = '${BOUNDED_MODE:-unbounded}',
  'format' = 'json'
);

CREATE TABLE subscription_features (
  country       STRING,
  plan          STRING,
  window_start  TIMESTAMP(3),
  sign_ups      BIGINT,
  cancellations BIGINT,
  plan_changes  BIGINT,
  promoted      BIGINT,
  net_adds      BIGINT,
  PRIMARY KEY (country, plan) NOT ENFORCED
) WITH (
  'connector' = 'redis',
  'url' = '${REDIS_URL:-embedded://}',
  'ttl' = '30 d'
);

CREATE TABLE nowcasts (
  series       STRING,
  period_start TIMESTAMP(3),
  as_of        TIMESTAMP(3),
  so_far       DOUBLE,
  nowcast      DOUBLE,
  lower_bound  DOUBLE,
  upper_bound  DOUBLE,
  completion   DOUBLE,
  is_final     BOOLEAN,
  PRIMARY KEY (series) NOT ENFORCED
) WITH (
  'connector' = 'redis',
  'url' = '${REDIS_URL:-embedded://}',
  'ttl' = '30 d'
);

CREATE TEMPORARY VIEW sign_ups_today AS
SELECT country, plan, window_start, window_end, window_time,
       CAST(COUNT(*) FILTER (WHERE event_type = 'sign_up') AS DOUBLE) AS so_far,
       CAST(MAX(CASE WHEN promotion IS NOT NULL THEN 1 ELSE 0 END) AS DOUBLE) AS promoted
FROM TABLE(CUMULATE(TABLE subscriptions, DESCRIPTOR(event_time), INTERVAL '1' HOUR, INTERVAL '1' DAY))
GROUP BY country, plan, window_start, window_end, window_time;

CREATE TEMPORARY VIEW sign_ups_today_nowcast AS
SELECT country, plan, window_start, window_end, so_far,
       ML_NOWCAST(so_far, window_start, window_end, promoted,
                  JSON_OBJECT('period' VALUE 86400, 'step' VALUE 3600, 'season' VALUE 7))
         OVER (PARTITION BY country, plan ORDER BY window_time
               RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS n
FROM sign_ups_today;

EXECUTE STATEMENT SET BEGIN

INSERT INTO subscription_features
SELECT country, plan, window_start,
       COUNT(*) FILTER (WHERE event_type = 'sign_up'),
       COUNT(*) FILTER (WHERE event_type = 'cancel'),
       COUNT(*) FILTER (WHERE event_type = 'plan_change'),
       COUNT(*) FILTER (WHERE event_type = 'sign_up' AND promotion IS NOT NULL),
       COUNT(*) FILTER (WHERE event_type = 'sign_up') - COUNT(*) FILTER (WHERE event_type = 'cancel')
FROM TABLE(TUMBLE(TABLE subscriptions, DESCRIPTOR(event_time), INTERVAL '1' HOUR))
GROUP BY country, plan, window_start, window_end;

INSERT INTO nowcasts
SELECT CONCAT('sign_ups:', country, ':', plan), window_start, window_end, so_far,
       n.nowcast, n.lower_bound, n.upper_bound, n.completion, n.is_final
FROM sign_ups_today_nowcast;

END;
