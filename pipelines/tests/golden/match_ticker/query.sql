-- Falling prices and the rise after them, as Flink's documentation has it.
CREATE TABLE ticker (
  symbol STRING,
  price DECIMAL(10, 2),
  tax INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '3' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/ticker.json', 'format' = 'json');

CREATE TABLE answer (
  symbol STRING,
  start_ts TIMESTAMP(3),
  bottom_ts TIMESTAMP(3),
  end_ts TIMESTAMP(3),
  low DECIMAL(10, 2),
  total DECIMAL(38, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT symbol, CAST(start_ts AS TIMESTAMP(3)), CAST(bottom_ts AS TIMESTAMP(3)), CAST(end_ts AS TIMESTAMP(3)), low, total
FROM ticker
MATCH_RECOGNIZE (
  PARTITION BY symbol
  ORDER BY ts
  MEASURES
    START_ROW.ts AS start_ts,
    LAST(PRICE_DOWN.ts) AS bottom_ts,
    LAST(PRICE_UP.ts) AS end_ts,
    MIN(PRICE_DOWN.price) AS low,
    SUM(PRICE_DOWN.price * PRICE_DOWN.tax) AS total
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO LAST PRICE_UP
  PATTERN (START_ROW PRICE_DOWN+ PRICE_UP)
  DEFINE
    PRICE_DOWN AS
      (LAST(PRICE_DOWN.price, 1) IS NULL AND PRICE_DOWN.price < START_ROW.price) OR
        PRICE_DOWN.price < LAST(PRICE_DOWN.price, 1),
    PRICE_UP AS
      PRICE_UP.price > LAST(PRICE_DOWN.price, 1)
) MR;
