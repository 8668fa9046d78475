-- By the event time, then by another column.
CREATE TABLE ev (
  id INT,
  k INT,
  o INT,
  v BIGINT,
  c STRING,
  d DOUBLE,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '60' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  s BIGINT,
  t BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, s, SUM(s) OVER (PARTITION BY k ORDER BY id)
FROM (SELECT id, k, SUM(v) OVER (PARTITION BY k ORDER BY ts) AS s FROM ev);
