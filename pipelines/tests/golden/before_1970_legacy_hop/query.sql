-- A group window across 1970.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, HOP_START(ts, INTERVAL '7' SECOND, INTERVAL '21' SECOND), HOP_END(ts, INTERVAL '7' SECOND, INTERVAL '21' SECOND), COUNT(*), SUM(v)
FROM ev
GROUP BY k, HOP(ts, INTERVAL '7' SECOND, INTERVAL '21' SECOND);
