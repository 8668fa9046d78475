-- Aggregates over expressions.
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
  a BIGINT,
  b INT,
  c INT,
  d BIGINT,
  e DOUBLE,
  f DOUBLE,
  g BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start,
       SUM(v * 2 + 1), SUM(CASE WHEN c = 'a' THEN 1 ELSE 0 END), MAX(CHAR_LENGTH(c)), COUNT(NULLIF(v, 7)), AVG(CAST(v AS DOUBLE)), MIN(ABS(d)), SUM(MOD(v, 3))
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;
