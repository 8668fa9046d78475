-- Some bids of all, and four of their columns.
CREATE TABLE events (
  event_type INT,
  bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel VARCHAR, url VARCHAR, `dateTime` TIMESTAMP(3), extra VARCHAR>
) WITH ('connector' = 'nexmark', 'next-event.rate' = '10000', 'events.num' = '${EVENTS}', 'scan.parallelism' = '4');

CREATE TABLE some (auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` TIMESTAMP(3)) WITH ('connector' = 'blackhole');

INSERT INTO some
SELECT bid.auction, bid.bidder, bid.price, bid.`dateTime` FROM events WHERE event_type = 2 AND MOD(bid.auction, 3) = 0;
