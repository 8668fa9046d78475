-- Values gathered in the order of arrival, with nulls.
-- Arrays in any order.
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
  ws TIMESTAMP(3),
  vs ARRAY<BIGINT>,
  cs ARRAY<STRING>,
  ids ARRAY<INT>,
  kinds ARRAY<STRING>
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start,
       ARRAY_AGG(v), ARRAY_AGG(c) FILTER (WHERE v > 0), ARRAY_AGG(id), ARRAY_AGG(DISTINCT c)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;
