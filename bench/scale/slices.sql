-- Bids by one of a thousand keys, in windows of these.
CREATE TABLE sums (k BIGINT, window_end TIMESTAMP(3), bids BIGINT, total BIGINT) WITH ('connector' = 'blackhole');

INSERT INTO sums
SELECT MOD(price, 1000) AS k, window_end, COUNT(*), SUM(price)
FROM TABLE(${WINDOW})
GROUP BY MOD(price, 1000), window_start, window_end;
