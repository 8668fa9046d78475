-- A window over a view that filters and computes.
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

CREATE VIEW positive AS
SELECT k + 1 AS k, UPPER(c) AS c, v * 2 AS v, d, ts FROM ev WHERE v > 0 AND c IS NOT NULL;

CREATE TABLE answer (
  k INT,
  c STRING,
  ws TIMESTAMP(3),
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, c, window_start, COUNT(*), SUM(v)
FROM TABLE(TUMBLE(TABLE positive, DESCRIPTOR(ts), INTERVAL '15' SECOND))
GROUP BY k, c, window_start, window_end;
