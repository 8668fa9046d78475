/* Web sessions: length, pages, bounce; then how the sessions of each two minutes were. */
CREATE TABLE clicks (
  uid STRING,
  url STRING,
  at_time TIMESTAMP(3),
  WATERMARK FOR at_time AS at_time - INTERVAL '6' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/clicks.json', 'format' = 'json');

CREATE VIEW web_sessions AS
SELECT
  uid,
  window_start AS began,
  window_end AS ended,
  window_time AS session_time,
  COUNT(*) AS clicks,
  COUNT(DISTINCT SPLIT_INDEX(url, '?', 0)) AS pages,
  MIN(at_time) AS first_click,
  MAX(at_time) AS last_click
FROM TABLE(SESSION(TABLE clicks PARTITION BY uid, DESCRIPTOR(at_time), INTERVAL '15' SECOND))
GROUP BY uid, window_start, window_end, window_time;

CREATE TABLE report (
  from_time TIMESTAMP(3),
  sessions BIGINT,
  bounces BIGINT,
  clicks BIGINT,
  most_pages BIGINT,
  seconds_on_site INT
) WITH ('connector' = 'blackhole');

INSERT INTO report
SELECT
  window_start,
  COUNT(*),
  COUNT(*) FILTER (WHERE clicks = 1),
  SUM(clicks),
  MAX(pages),
  SUM(TIMESTAMPDIFF(SECOND, first_click, last_click))
FROM TABLE(TUMBLE(TABLE web_sessions, DESCRIPTOR(session_time), INTERVAL '2' MINUTES))
GROUP BY window_start, window_end;
