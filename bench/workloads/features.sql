-- One row in, one feature out: the pipeline that features.toml measures.
SET 'pipeline.name' = 'bench-features';

CREATE TABLE plays (
  seq        BIGINT,
  profile_id BIGINT,
  title_id   BIGINT,
  country    STRING,
  event_time TIMESTAMP(3)
) WITH (
  'connector' = 'kafka',
  'topic' = '${TOPIC}',
  'properties.bootstrap.servers' = '${BOOTSTRAP}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE latest_plays (
  profile_id BIGINT,
  seq        BIGINT,
  title_id   BIGINT,
  country    STRING,
  event_time TIMESTAMP(3),
  PRIMARY KEY (profile_id) NOT ENFORCED
) WITH (
  'connector' = 'redis',
  'url' = '${REDIS_URL:-embedded://}',
  'ttl' = '1 h'
);

INSERT INTO latest_plays SELECT profile_id, seq, title_id, country, event_time FROM plays;
