-- Texts joined in the order of arrival.
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
  a STRING,
  b STRING,
  c STRING,
  d STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start,
       LISTAGG(c), LISTAGG(c, ';'), LISTAGG(c || CAST(k AS STRING), ' ') FILTER (WHERE v > 0), LISTAGG(CAST(id AS STRING), '-')
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;
