-- Bids of ten seconds by bidder.
CREATE TABLE sums (bidder BIGINT, window_end TIMESTAMP(3), bids BIGINT, total BIGINT) WITH ('connector' = 'blackhole');

INSERT INTO sums
SELECT bidder, window_end, COUNT(*), SUM(price)
FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end;
