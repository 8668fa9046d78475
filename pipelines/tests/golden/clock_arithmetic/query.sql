-- Sums and differences with the clock.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  a BOOLEAN,
  b BOOLEAN,
  c BIGINT,
  d BOOLEAN,
  e STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
  CURRENT_TIMESTAMP + INTERVAL '1' DAY > CURRENT_TIMESTAMP,
  LOCALTIMESTAMP - INTERVAL '1' HOUR > ts,
  EXTRACT(YEAR FROM CURRENT_DATE) / 1000,
  TIMESTAMPDIFF(SECOND, ts, LOCALTIMESTAMP) > 0,
  SUBSTRING(DATE_FORMAT(LOCALTIMESTAMP, 'yyyy-MM-dd'), 1, 2)
FROM ev;
