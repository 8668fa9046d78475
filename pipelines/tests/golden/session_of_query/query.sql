-- Sessions of a subquery, with TABLE around them and without.
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
  window_start TIMESTAMP(3),
  k INT,
  n BIGINT
) WITH ('connector' = 'blackhole');

CREATE TABLE wrapped (
  window_start TIMESTAMP(3),
  k INT,
  c STRING,
  n BIGINT
) WITH ('connector' = 'blackhole');

EXECUTE STATEMENT SET
BEGIN
INSERT INTO answer
SELECT window_start, k, COUNT(*)
FROM SESSION((SELECT ts, k FROM ev WHERE id <> 3) PARTITION BY k, DESCRIPTOR(ts), INTERVAL '9' SECOND)
GROUP BY window_start, window_end, k;

INSERT INTO wrapped
SELECT window_start, k, c, COUNT(*)
FROM TABLE(SESSION(
  (SELECT * FROM ev WHERE id < 14) PARTITION BY (k, c), DESCRIPTOR(ts), INTERVAL '9' SECOND))
GROUP BY window_start, window_end, k, c;
END;
