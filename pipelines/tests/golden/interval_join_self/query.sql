-- A table with itself: the next seconds of each row.
CREATE TABLE t (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  a INT,
  b INT,
  diff BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT x.id, y.id, y.v - x.v
FROM t AS x JOIN t AS y ON x.k = y.k AND y.ts > x.ts AND y.ts <= x.ts + INTERVAL '7' SECOND;
