-- A break-in: at least three failed logins in a row, then a success, all within a minute.
CREATE TABLE logins (
  account STRING,
  ip STRING,
  ok BOOLEAN,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/logins.json', 'format' = 'json');

CREATE TABLE break_ins (
  account STRING,
  failures BIGINT,
  first_ip STRING,
  last_ip STRING,
  seconds INT
) WITH ('connector' = 'blackhole');

INSERT INTO break_ins
SELECT account, failures, first_ip, last_ip, TIMESTAMPDIFF(SECOND, began, ended)
FROM logins
  MATCH_RECOGNIZE (
    PARTITION BY account
    ORDER BY ts
    MEASURES
      COUNT(FAILED.ip) AS failures,
      FIRST(FAILED.ip) AS first_ip,
      ENTERED.ip AS last_ip,
      FIRST(FAILED.ts) AS began,
      ENTERED.ts AS ended
    ONE ROW PER MATCH
    AFTER MATCH SKIP PAST LAST ROW
    PATTERN (FAILED{3,} ENTERED) WITHIN INTERVAL '1' MINUTE
    DEFINE
      FAILED AS NOT FAILED.ok,
      ENTERED AS ENTERED.ok
  ) AS attempts;
