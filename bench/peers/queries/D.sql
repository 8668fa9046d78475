-- The ten most watched titles of each country and ten-second window.
CREATE TABLE top_titles (
  window_end TIMESTAMP(3), country STRING, title_id INT, events BIGINT, place BIGINT
) WITH (${SINK});

INSERT INTO top_titles
SELECT window_end, country, title_id, events, place FROM (
  SELECT *, ROW_NUMBER() OVER (
      PARTITION BY window_start, window_end, country ORDER BY events DESC, title_id ASC) AS place
  FROM (
    SELECT window_start, window_end, country, title_id, COUNT(*) AS events
    FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(rt), INTERVAL '10' SECOND))
    GROUP BY window_start, window_end, country, title_id))
WHERE place <= 10;
