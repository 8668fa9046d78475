-- Busiest taxi zones: every half minute, the top two of the last minute.
CREATE TABLE trips (
  trip INT,
  zone INT,
  fare DECIMAL(8, 2),
  passengers INT,
  dropoff_epoch BIGINT,
  dropoff AS TO_TIMESTAMP(FROM_UNIXTIME(dropoff_epoch)),
  WATERMARK FOR dropoff AS dropoff - INTERVAL '8' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/trips.json', 'format' = 'json');

CREATE TABLE busiest (
  window_end TIMESTAMP(3),
  place BIGINT,
  zone INT,
  trips BIGINT,
  takings DECIMAL(38, 2),
  passengers INT
) WITH ('connector' = 'blackhole');

INSERT INTO busiest
SELECT window_end, place, zone, trips, takings, passengers
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY trips DESC, takings DESC, zone) AS place
  FROM (
    SELECT window_start, window_end, zone, COUNT(trip) AS trips, SUM(fare) AS takings, SUM(passengers) AS passengers
    FROM TABLE(
      HOP(
        DATA => TABLE trips,
        TIMECOL => DESCRIPTOR(dropoff),
        SLIDE => INTERVAL '30' SECOND,
        SIZE => INTERVAL '1' MINUTE))
    GROUP BY window_start, window_end, zone
  )
) WHERE place <= 2;
