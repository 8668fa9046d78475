-- WITH, each part from the one before.
CREATE TABLE ev (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  c STRING,
  n BIGINT,
  mean BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
WITH
  named AS (SELECT k, c, v FROM ev WHERE c IS NOT NULL),
  sums AS (SELECT k, c, SUM(v) AS s FROM named GROUP BY k, c),
  best AS (SELECT c, COUNT(*) AS n, AVG(s) AS mean FROM sums GROUP BY c)
SELECT c, n, mean FROM best WHERE n > 1;
