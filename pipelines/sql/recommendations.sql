-- Recommendations: the next titles of each profile by a GRU over its latest plays, and what is
-- popular now, by country and overall, for profiles without a history.
SET 'pipeline.name' = 'recommendations';
-- The latest plays of a profile that was quiet for so long are forgotten.
SET 'table.exec.state.ttl' = '30 d';

CREATE TABLE clicks (
  event_time TIMESTAMP(3),
  profile_id BIGINT,
  title_id   BIGINT,
  event_type STRING,
  country    STRING,
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${CLICKS_TOPIC:-clicks}',
  'properties.bootstrap.servers' = '${KAFKA_BOOTSTRAP_SERVERS:-embedded}',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = '${BOUNDED_MODE:-unbounded}',
  'format' = 'json'
);

CREATE TABLE next_titles (
  profile_id BIGINT,
  country    STRING,
  as_of      TIMESTAMP(3),
  titles     ARRAY<BIGINT>,
  scores     ARRAY<FLOAT>,
  PRIMARY KEY (profile_id) NOT ENFORCED
) WITH (
  'connector' = 'redis',
  'url' = '${REDIS_URL:-embedded://}',
  'ttl' = '7 d'
);

-- The key is scope:rank; the scope is a country or `all`.
CREATE TABLE popular_now (
  scope      STRING,
  `rank`     BIGINT,
  title_id   BIGINT,
  plays      BIGINT,
  window_end TIMESTAMP(3),
  PRIMARY KEY (scope, `rank`) NOT ENFORCED
) WITH (
  'connector' = 'redis',
  'url' = '${REDIS_URL:-embedded://}',
  'ttl' = '1 d'
);

CREATE MODEL next_title
INPUT (items ARRAY<BIGINT>)
OUTPUT (top_items ARRAY<BIGINT>, top_scores ARRAY<FLOAT>)
WITH (
  'provider' = 'onnx',
  'path' = '${MODELS:-onnx_models}/next_title/next_title.onnx'
);

CREATE TEMPORARY VIEW plays AS
SELECT event_time, profile_id, title_id, country FROM clicks WHERE event_type = 'play';

-- The state of a session: the latest twenty plays of the profile, oldest first.
CREATE TEMPORARY VIEW sessions AS
SELECT profile_id, country, event_time,
       ARRAY_AGG(title_id) OVER (PARTITION BY profile_id ORDER BY event_time
                                 ROWS BETWEEN 19 PRECEDING AND CURRENT ROW) AS items
FROM plays;

CREATE TEMPORARY VIEW plays_by_scope AS
SELECT event_time, title_id, country AS scope FROM plays
UNION ALL
SELECT event_time, title_id, 'all' AS scope FROM plays;

CREATE TEMPORARY VIEW popularity AS
SELECT scope, title_id, window_start, window_end, COUNT(*) AS plays
FROM TABLE(HOP(TABLE plays_by_scope, DESCRIPTOR(event_time), INTERVAL '5' MINUTES, INTERVAL '1' HOUR))
GROUP BY scope, title_id, window_start, window_end;

EXECUTE STATEMENT SET BEGIN

INSERT INTO next_titles
SELECT profile_id, country, event_time, top_items, top_scores
FROM ML_PREDICT(TABLE sessions, MODEL next_title, DESCRIPTOR(items));

INSERT INTO popular_now
SELECT scope, rn, title_id, plays, window_end
FROM (
  SELECT scope, title_id, plays, window_end,
         ROW_NUMBER() OVER (PARTITION BY window_start, window_end, scope ORDER BY plays DESC, title_id) AS rn
  FROM popularity
) WHERE rn <= 20;

END;
