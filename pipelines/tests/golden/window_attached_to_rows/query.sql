-- An aggregation over window rows that a view filtered.
CREATE TABLE ev (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE VIEW windowed AS
SELECT id, k, v, window_start, window_end
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '10' SECOND))
WHERE v > 0;

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, COUNT(*), SUM(v) FROM windowed GROUP BY k, window_start, window_end;
