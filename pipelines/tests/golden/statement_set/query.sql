-- Two inserts that share a source.
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

CREATE TABLE counts (
  k INT,
  ws TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

CREATE TABLE big_ones (
  id INT,
  v BIGINT
) WITH ('connector' = 'blackhole');

EXECUTE STATEMENT SET BEGIN

INSERT INTO counts
SELECT k, window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;

INSERT INTO big_ones SELECT id, v FROM ev WHERE v > 60;

END;
