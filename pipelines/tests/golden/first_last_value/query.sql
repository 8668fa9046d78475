-- The first and last value to arrive, nulls left out.
-- Arrival decides: values are taken in the order in which they came.
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
  fv BIGINT,
  lv BIGINT,
  fc STRING,
  lc STRING,
  ld DOUBLE,
  ft TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start,
       FIRST_VALUE(v), LAST_VALUE(v), FIRST_VALUE(c), LAST_VALUE(c), LAST_VALUE(d), FIRST_VALUE(ts)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;
