-- Ten-second windows by title and country: events, watch time, distinct viewers.
CREATE TABLE viewers (
  window_end TIMESTAMP(3), title_id INT, country STRING, events BIGINT, watch_ms BIGINT, viewers BIGINT
) WITH (${SINK});

INSERT INTO viewers
SELECT window_end, title_id, country, COUNT(*), SUM(watch_ms), COUNT(DISTINCT profile_id)
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY window_start, window_end, title_id, country;
