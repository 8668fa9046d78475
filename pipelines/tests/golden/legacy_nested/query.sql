-- A group window over the time of another.
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
  we TIMESTAMP(3),
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT TUMBLE_END(wt, INTERVAL '1' MINUTE), COUNT(*), SUM(n)
FROM (
  SELECT k, TUMBLE_ROWTIME(ts, INTERVAL '20' SECOND) AS wt, COUNT(*) AS n
  FROM ev
  GROUP BY k, TUMBLE(ts, INTERVAL '20' SECOND)
)
GROUP BY TUMBLE(wt, INTERVAL '1' MINUTE);
