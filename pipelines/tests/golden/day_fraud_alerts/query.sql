-- Card fraud: several rules over one stream of transactions, all alerts in one table.
CREATE TABLE Transactions (
    `tx_id`    STRING,
    `card`     STRING,
    `merchant` STRING,
    `amount`   DECIMAL(12, 2),
    `country`  STRING,
    `event_ms` BIGINT,
    `rowtime`  AS TO_TIMESTAMP_LTZ(`event_ms`, 3),
    WATERMARK FOR `rowtime` AS `rowtime` - INTERVAL '10' SECOND
) WITH (
    'connector' = 'filesystem',
    'path'      = '${CASE}/transactions.json',
    'format'    = 'json'
);

CREATE TABLE Alerts (
    `tx_id`  STRING,
    `card`   STRING,
    `rule`   STRING,
    `detail` STRING
) WITH ('connector' = 'blackhole');

-- What each card did in the minute before, this transaction included.
CREATE TEMPORARY VIEW Recent AS
SELECT
    `tx_id`, `card`, `amount`,
    COUNT(*)      OVER last_minute AS `tx_count`,
    SUM(`amount`) OVER last_minute AS `tx_sum`
FROM Transactions
WINDOW last_minute AS (
    PARTITION BY `card`
    ORDER BY `rowtime`
    RANGE BETWEEN INTERVAL '1' MINUTE PRECEDING AND CURRENT ROW
);

CREATE TEMPORARY VIEW Moves AS
SELECT
    `tx_id`, `card`, `country`, `merchant`,
    LAG(`country`) OVER (PARTITION BY `card` ORDER BY `rowtime`) AS `previous_country`
FROM Transactions;

INSERT INTO Alerts
SELECT `tx_id`, `card`, 'velocity', CONCAT(CAST(`tx_count` AS STRING), ' in a minute')
FROM Recent
WHERE `tx_count` > 6
UNION ALL
SELECT `tx_id`, `card`, 'spend', CAST(`tx_sum` AS STRING)
FROM Recent
WHERE `tx_sum` > 1500.00 AND `amount` > 100
UNION ALL
SELECT `tx_id`, `card`, 'travel', `previous_country` || '->' || `country`
FROM Moves
WHERE `previous_country` <> `country` AND `merchant` LIKE '%&%';
