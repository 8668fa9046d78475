-- A view keeps the event time.
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

CREATE VIEW halves AS
SELECT MOD(id, 2) AS half, v, ts AS happened FROM ev WHERE v IS NOT NULL;

CREATE TABLE answer (
  half INT,
  ws TIMESTAMP(3),
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT half, window_start, SUM(v)
FROM TABLE(TUMBLE(TABLE halves, DESCRIPTOR(happened), INTERVAL '20' SECOND))
GROUP BY half, window_start, window_end;
