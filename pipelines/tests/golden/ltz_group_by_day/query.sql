-- A plain GROUP BY of local days.
SET 'table.local-time-zone' = 'Pacific/Auckland';

CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ms BIGINT,
  ts AS TO_TIMESTAMP_LTZ(ms, 3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  day_ STRING,
  hour_ BIGINT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT DATE_FORMAT(ts, 'yyyy-MM-dd'), MAX(EXTRACT(HOUR FROM ts)), COUNT(*)
FROM ev
GROUP BY DATE_FORMAT(ts, 'yyyy-MM-dd');
