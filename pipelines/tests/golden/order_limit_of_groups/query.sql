-- LIMIT of an aggregate, in a subquery that is joined.
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
  k INT,
  m BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, m FROM (SELECT k, MAX(v) AS m FROM ev GROUP BY k ORDER BY m, k LIMIT 4) WHERE m > 0;
