-- A window function over the time of a group window.
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

CREATE VIEW small AS
SELECT k, HOP_ROWTIME(ts, INTERVAL '10' SECOND, INTERVAL '20' SECOND) AS wt, COUNT(*) AS n
FROM ev
GROUP BY k, HOP(ts, INTERVAL '10' SECOND, INTERVAL '20' SECOND);

CREATE TABLE answer (
  ws TIMESTAMP(3),
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT window_start, COUNT(*), SUM(n)
FROM TABLE(TUMBLE(TABLE small, DESCRIPTOR(wt), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;
