-- The clock in a filter, a key, an argument and a condition of groups.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  y BOOLEAN,
  k INT,
  n BIGINT,
  m BOOLEAN,
  c BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT CURRENT_DATE > DATE '2020-01-01', k, COUNT(*), MAX(CURRENT_TIMESTAMP) > TO_TIMESTAMP_LTZ(0, 3), COUNT(NOW())
FROM ev
WHERE ts < LOCALTIMESTAMP AND CURRENT_TIMESTAMP < CAST('9999-01-01 00:00:00' AS TIMESTAMP_LTZ(3))
GROUP BY CURRENT_DATE > DATE '2020-01-01', k
HAVING MAX(ts) < LOCALTIMESTAMP;
