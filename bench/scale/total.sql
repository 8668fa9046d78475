-- All bids of ten seconds: one key, whatever the workers.
CREATE TABLE sums (window_end TIMESTAMP(3), bids BIGINT, total BIGINT) WITH ('connector' = 'blackhole');

INSERT INTO sums
SELECT window_end, COUNT(*), SUM(price)
FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
GROUP BY window_start, window_end;
