-- Filter and projection.
CREATE TABLE plays (
  event_id STRING, profile_id BIGINT, title_id INT, country STRING, ts BIGINT, watch_ms BIGINT
) WITH (${SINK});

INSERT INTO plays
SELECT event_id, profile_id, title_id, LOWER(country), ts, watch_ms
FROM clicks
WHERE event_type = 'play' AND watch_ms > 10000;
