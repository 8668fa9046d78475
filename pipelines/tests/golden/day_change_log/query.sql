-- A change log of accounts (c, u, d): the state now, then totals of each region.
SET 'table.exec.sink.not-null-enforcer' = 'DROP';

CREATE TABLE account_log (
  op STRING,
  id BIGINT,
  region STRING,
  balance BIGINT,
  lsn BIGINT,
  committed TIMESTAMP(3),
  WATERMARK FOR committed AS committed - INTERVAL '1' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/account_log.json', 'format' = 'json');

CREATE VIEW accounts AS
SELECT id, region, balance, lsn
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY committed DESC) AS newest
  FROM account_log
) AS versions
WHERE newest = 1 AND op <> 'd';

CREATE TABLE region_totals (
  region STRING,
  accounts BIGINT,
  total BIGINT,
  overdrawn BIGINT,
  newest_lsn BIGINT,
  PRIMARY KEY (region) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO region_totals
SELECT region, COUNT(*), SUM(balance), COUNT(CASE WHEN balance < 0 THEN 1 ELSE NULL END), MAX(lsn)
FROM accounts
GROUP BY region;
