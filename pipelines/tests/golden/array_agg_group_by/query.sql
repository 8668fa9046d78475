-- ARRAY_AGG of groups, in the order of arrival.
-- Arrival decides: values are taken in the order in which they came.
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
  ids ARRAY<INT>,
  vs ARRAY<BIGINT>
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, ARRAY_AGG(id), ARRAY_AGG(v) FILTER (WHERE v > 0) FROM ev GROUP BY k;
