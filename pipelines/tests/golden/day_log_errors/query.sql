-- Error rates of services out of raw log lines.
CREATE TABLE raw_logs (
  host STRING,
  line STRING,
  attributes STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/logs.json', 'format' = 'json');

CREATE VIEW parsed AS
SELECT
  host,
  REGEXP_EXTRACT(line, '^\[([A-Z]+)\] ([a-z]+) req=(\d+) took (\d+)ms$', 1) AS level,
  REGEXP_EXTRACT(line, '^\[([A-Z]+)\] ([a-z]+) req=(\d+) took (\d+)ms$', 2) AS service,
  CAST(REGEXP_EXTRACT(line, '^\[([A-Z]+)\] ([a-z]+) req=(\d+) took (\d+)ms$', 4) AS INT) AS took_ms,
  CAST(JSON_VALUE(attributes, '$.code') AS INT) AS code,
  JSON_VALUE(attributes, '$.user.id') AS user_id,
  ts
FROM raw_logs;

CREATE TABLE service_health (
  service STRING,
  window_start TIMESTAMP(3),
  lines BIGINT,
  errors BIGINT,
  server_errors BIGINT,
  users BIGINT,
  slowest INT,
  error_rate DECIMAL(5, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO service_health
SELECT
  IFNULL(service, '(unparsed)'),
  window_start,
  COUNT(*),
  COUNT(*) FILTER (WHERE level = 'ERROR'),
  COUNT(*) FILTER (WHERE code >= 500),
  COUNT(DISTINCT user_id),
  MAX(took_ms),
  CAST(100.0 * COUNT(*) FILTER (WHERE level = 'ERROR') / COUNT(*) AS DECIMAL(5, 2))
FROM TABLE(
  HOP(TABLE parsed, DESCRIPTOR(ts), INTERVAL '30' SECONDS, INTERVAL '1' MINUTE))
GROUP BY service, window_start, window_end
HAVING COUNT(*) > 1;
