-- Features of titles and profiles from the clickstream, kept fresh in Redis.
SET 'pipeline.name' = 'clickstream_features';

CREATE TABLE clicks (
  event_time    TIMESTAMP(3),
  profile_id    BIGINT,
  session_id    STRING,
  title_id      BIGINT,
  event_type    STRING,
  watch_seconds INT,
  country       STRING,
  device        STRING,
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${CLICKS_TOPIC:-clicks}',
  'properties.bootstrap.servers' = '${KAFKA_BOOTSTRAP_SERVERS:-embedded}',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = '${BOUNDED_MODE:-unbounded}',
  'format' = 'json'
);

-- Plays, watch time and distinct viewers of the last closed five minutes, a title and country.
CREATE TABLE title_country_features (
  title_id      BIGINT,
  country       STRING,
  window_start  TIMESTAMP(3),
  window_end    TIMESTAMP(3),
  plays         BIGINT,
  watch_seconds BIGINT,
  viewers       BIGINT,
  PRIMARY KEY (title_id, country) NOT ENFORCED
) WITH (
  'connector' = 'redis',
  'url' = '${REDIS_URL:-embedded://}',
  'ttl' = '7 d'
);

-- What a profile did in the last hour, renewed every five minutes: counts and recent titles.
CREATE TABLE profile_features (
  profile_id    BIGINT,
  window_end    TIMESTAMP(3),
  plays         BIGINT,
  watch_seconds BIGINT,
  titles        BIGINT,
  recent_titles ARRAY<BIGINT>,
  PRIMARY KEY (profile_id) NOT ENFORCED
) WITH (
  'connector' = 'redis',
  'url' = '${REDIS_URL:-embedded://}',
  'ttl' = '7 d'
);

EXECUTE STATEMENT SET BEGIN

INSERT INTO title_country_features
SELECT title_id, country, window_start, window_end,
       COUNT(*) FILTER (WHERE event_type = 'play'),
       SUM(CAST(watch_seconds AS BIGINT)),
       COUNT(DISTINCT profile_id)
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(event_time), INTERVAL '5' MINUTES))
GROUP BY title_id, country, window_start, window_end;

INSERT INTO profile_features
SELECT profile_id, window_end,
       COUNT(*) FILTER (WHERE event_type = 'play'),
       SUM(CAST(watch_seconds AS BIGINT)),
       COUNT(DISTINCT title_id),
       ARRAY_AGG(title_id) FILTER (WHERE event_type = 'play')
FROM TABLE(HOP(TABLE clicks, DESCRIPTOR(event_time), INTERVAL '5' MINUTES, INTERVAL '1' HOUR))
GROUP BY profile_id, window_start, window_end;

END;
