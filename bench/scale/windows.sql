-- Bids of ten seconds by bidder.
CREATE TABLE events (
  event_type INT,
  bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` TIMESTAMP(3), extra VARCHAR>,
  rt AS bid.`dateTime`,
  WATERMARK FOR rt AS rt - INTERVAL '4' SECOND
) WITH ('connector' = 'nexmark', 'next-event.rate' = '10000', 'events.num' = '${EVENTS}', 'scan.parallelism' = '4');

CREATE VIEW bids AS SELECT bid.bidder AS bidder, bid.price AS price, rt FROM events WHERE event_type = 2;

CREATE TABLE sums (bidder BIGINT, window_end TIMESTAMP(3), bids BIGINT, total BIGINT) WITH ('connector' = 'blackhole');

INSERT INTO sums
SELECT bidder, window_end, COUNT(*), SUM(price)
FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY bidder, window_start, window_end;
