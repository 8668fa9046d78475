-- Bids by one of a thousand keys, in windows of these.
CREATE TABLE events (
  event_type INT,
  person ROW<
    id BIGINT,
    name VARCHAR,
    emailAddress VARCHAR,
    creditCard VARCHAR,
    city VARCHAR,
    state VARCHAR,
    `dateTime` TIMESTAMP(3),
    extra VARCHAR>,
  auction ROW<
    id BIGINT,
    itemName VARCHAR,
    description VARCHAR,
    initialBid BIGINT,
    reserve BIGINT,
    `dateTime` TIMESTAMP(3),
    expires TIMESTAMP(3),
    seller BIGINT,
    category BIGINT,
    extra VARCHAR>,
  bid ROW<
    auction BIGINT,
    bidder BIGINT,
    price BIGINT,
    channel VARCHAR,
    url VARCHAR,
    `dateTime` TIMESTAMP(3),
    extra VARCHAR>,
  rt AS
    CASE
      WHEN event_type = 0 THEN person.`dateTime`
      WHEN event_type = 1 THEN auction.`dateTime`
      ELSE bid.`dateTime`
    END,
  WATERMARK FOR rt AS rt - INTERVAL '4' SECOND
) WITH ('connector' = 'nexmark', 'next-event.rate' = '10000', 'events.num' = '${EVENTS}', 'scan.parallelism' = '4');

CREATE VIEW bids AS SELECT MOD(bid.price, 1000) AS k, bid.price AS price, rt FROM events WHERE event_type = 2;

CREATE TABLE sums (k BIGINT, window_end TIMESTAMP(3), bids BIGINT, total BIGINT) WITH ('connector' = 'blackhole');

INSERT INTO sums
SELECT k, window_end, COUNT(*), SUM(price)
FROM TABLE(${WINDOW})
GROUP BY k, window_start, window_end;
