-- All values of a sum are taken back: null again, not zero.
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
  s BIGINT,
  n BIGINT,
  lo BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT SUM(big), COUNT(big), MIN(big)
FROM (SELECT k, CASE WHEN COUNT(*) < 5 THEN SUM(v) END AS big FROM ev GROUP BY k);
