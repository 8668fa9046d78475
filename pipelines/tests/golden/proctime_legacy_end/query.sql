-- Group windows of the clock at the end of input.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  p AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  p TIMESTAMP_LTZ(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, TUMBLE_START(p, INTERVAL '1000' DAY(4)), TUMBLE_END(p, INTERVAL '1000' DAY(4)), TUMBLE_PROCTIME(p, INTERVAL '1000' DAY(4)), COUNT(*)
FROM ev
GROUP BY k, TUMBLE(p, INTERVAL '1000' DAY(4));
