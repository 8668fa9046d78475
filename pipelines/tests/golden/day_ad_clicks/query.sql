-- Ads: a click counts if it comes within ten seconds of its impression.
CREATE TABLE impressions (
  imp      STRING,
  campaign STRING,
  cost     DECIMAL(6, 3),
  shown    TIMESTAMP(3),
  WATERMARK FOR shown AS shown - INTERVAL '4' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/impressions.json', 'format' = 'json');

CREATE TABLE clicks (
  imp     STRING,
  clicked TIMESTAMP(3),
  WATERMARK FOR clicked AS clicked - INTERVAL '1' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/clicks.json', 'format' = 'json');

CREATE TEMPORARY VIEW attributed AS
SELECT i.imp, i.campaign, i.cost, i.shown, c.clicked
FROM impressions i
LEFT JOIN clicks c
ON i.imp = c.imp AND c.clicked BETWEEN i.shown AND i.shown + INTERVAL '10' SECOND;

CREATE TABLE campaign_minutes (
  campaign STRING,
  starts   STRING,
  shown    BIGINT,
  clicked  BIGINT,
  spent    DECIMAL(38, 3),
  per_click DECIMAL(38, 3)
) WITH ('connector' = 'blackhole');

INSERT INTO campaign_minutes
SELECT
  campaign,
  DATE_FORMAT(TUMBLE_START(shown, INTERVAL '1' MINUTE), 'HH:mm'),
  COUNT(DISTINCT imp),
  COUNT(clicked),
  SUM(cost),
  CAST(SUM(cost) / NULLIF(COUNT(clicked), 0) AS DECIMAL(38, 3))
FROM attributed
GROUP BY campaign, TUMBLE(shown, INTERVAL '1' MINUTE);
