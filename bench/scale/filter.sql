-- Some bids of all, and four of their columns.
CREATE TABLE some (auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` TIMESTAMP(3)) WITH ('connector' = 'blackhole');

INSERT INTO some
SELECT auction, bidder, price, `dateTime` FROM bid WHERE MOD(auction, 3) = 0;
