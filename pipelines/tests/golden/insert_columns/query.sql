-- INSERT with a list of columns: the rest are null; values widen to the declared types.
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
  a BIGINT,
  b DOUBLE,
  c STRING,
  d DECIMAL(20, 4),
  missing INT,
  ts TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer (c, a, d, b, ts) SELECT c, k, p, v, ts FROM ev;
