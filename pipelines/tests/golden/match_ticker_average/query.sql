-- The longest spell with a low average, and a drop within a time, as Flink's documentation has it.
CREATE TABLE ticker (
  symbol STRING,
  price DECIMAL(10, 2),
  tax INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '3' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/ticker.json', 'format' = 'json');

CREATE TABLE spells (
  symbol STRING,
  start_ts TIMESTAMP(3),
  end_ts TIMESTAMP(3),
  mean DECIMAL(38, 6)
) WITH ('connector' = 'blackhole');

CREATE TABLE drops (
  symbol STRING,
  drop_time TIMESTAMP(3),
  drop_diff DECIMAL(38, 2)
) WITH ('connector' = 'blackhole');

EXECUTE STATEMENT SET BEGIN
INSERT INTO spells
SELECT symbol, CAST(start_ts AS TIMESTAMP(3)), CAST(end_ts AS TIMESTAMP(3)), mean
FROM ticker
MATCH_RECOGNIZE (
  PARTITION BY symbol
  ORDER BY ts
  MEASURES
    FIRST(A.ts) AS start_ts,
    LAST(A.ts) AS end_ts,
    AVG(A.price) AS mean
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A+ B)
  DEFINE A AS AVG(A.price) < 15
) MR;

INSERT INTO drops
SELECT symbol, CAST(drop_time AS TIMESTAMP(3)), drop_diff
FROM ticker
MATCH_RECOGNIZE (
  PARTITION BY symbol
  ORDER BY ts
  MEASURES
    C.ts AS drop_time,
    A.price - C.price AS drop_diff
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B* C) WITHIN INTERVAL '1' MINUTE
  DEFINE
    B AS B.price > A.price - 3,
    C AS C.price < A.price - 3
);
END;
