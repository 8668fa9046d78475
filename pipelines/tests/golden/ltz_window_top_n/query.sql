-- The best rows of a window in a zone, and rows of windows joined.
SET 'table.local-time-zone' = 'Europe/London';

CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ms BIGINT,
  ts AS TO_TIMESTAMP_LTZ(ms, 3),
  WATERMARK FOR ts AS ts - INTERVAL '10' MINUTE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE best (
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  id INT,
  v BIGINT,
  place BIGINT
) WITH ('connector' = 'blackhole');

CREATE TABLE pairs (
  ws TIMESTAMP(3),
  a INT,
  b INT
) WITH ('connector' = 'blackhole');

CREATE VIEW hours AS
SELECT * FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '1' HOUR));

EXECUTE STATEMENT SET BEGIN
INSERT INTO best
SELECT window_start, window_end, id, v, place FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY v DESC, id) AS place FROM hours
) WHERE place <= 3;
INSERT INTO pairs
SELECT l.window_start, l.id, r.id
FROM (SELECT * FROM hours WHERE k = 0) AS l
JOIN (SELECT * FROM hours WHERE k = 1) AS r
ON l.v = r.v AND l.window_start = r.window_start AND l.window_end = r.window_end;
END;
