-- A window of the clock without a GROUP BY.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  p AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  ws TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, CAST(TIMESTAMP '2020-01-01 00:00:00' AS TIMESTAMP(3)) FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(p), INTERVAL '1000' DAY(4)));
