CREATE TABLE bench_events (id BIGINT, intended_us BIGINT, payload STRING) WITH (
  'connector' = 'kafka', 'topic' = '${TOPIC}', 'properties.bootstrap.servers' = '${BOOTSTRAP}',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'json'
);
CREATE TABLE ${TABLE} (id BIGINT, intended_us BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH (
  'connector' = 'redis', 'url' = '${STORE}', 'ttl' = '1 h'
);
INSERT INTO ${TABLE} SELECT id, intended_us FROM bench_events;
