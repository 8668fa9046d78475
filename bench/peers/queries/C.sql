-- Sessions of a profile, ended by half a minute of silence.
CREATE TABLE sessions (
  window_start TIMESTAMP(3), window_end TIMESTAMP(3), profile_id BIGINT, events BIGINT, watch_ms BIGINT
) WITH (${SINK});

INSERT INTO sessions
SELECT window_start, window_end, profile_id, COUNT(*), SUM(watch_ms)
FROM TABLE(SESSION(TABLE clicks PARTITION BY profile_id, DESCRIPTOR(rt), INTERVAL '30' SECOND))
GROUP BY window_start, window_end, profile_id;
