-- Expressions over start and end.
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
  label STRING,
  span INT,
  mean DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT c || '@' || DATE_FORMAT(TUMBLE_START(ts, INTERVAL '20' SECOND), 'mm:ss'), TIMESTAMPDIFF(SECOND, TUMBLE_START(ts, INTERVAL '20' SECOND), TUMBLE_END(ts, INTERVAL '20' SECOND)), AVG(d) + 1
FROM ev
GROUP BY c, TUMBLE(ts, INTERVAL '20' SECOND);
