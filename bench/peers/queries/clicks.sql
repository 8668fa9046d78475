-- The clickstream of bench/peers: every query begins with this.
CREATE TABLE clicks (
  event_id STRING, profile_id BIGINT, title_id INT, country STRING, device STRING, event_type STRING,
  ts BIGINT, watch_ms BIGINT, promo BOOLEAN,
  rt AS TO_TIMESTAMP_LTZ(ts, 3),
  WATERMARK FOR rt AS rt - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${TOPIC}',
  'properties.bootstrap.servers' = '${BOOTSTRAP}',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = 'latest-offset',
  'format' = 'json'
);
