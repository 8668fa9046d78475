-- FILTER over an updating input.
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
  big BIGINT,
  small BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT COUNT(*) FILTER (WHERE s >= 50), COUNT(*) FILTER (WHERE s < 50), SUM(s) FILTER (WHERE MOD(k, 2) = 0)
FROM (SELECT k, SUM(v) AS s FROM ev GROUP BY k);
