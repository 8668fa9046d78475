-- A window over looked-up names: event time passes through.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  proc AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE names (
  k INT,
  name STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/names.csv', 'format' = 'csv', 'lookup.cache' = 'FULL');

CREATE VIEW named AS
SELECT n.name, e.v, e.ts
FROM ev AS e
LEFT JOIN names FOR SYSTEM_TIME AS OF e.proc AS n ON e.k = n.k;

CREATE TABLE answer (
  name STRING,
  ws TIMESTAMP(3),
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT name, window_start, COUNT(*), SUM(v)
FROM TABLE(TUMBLE(TABLE named, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY name, window_start, window_end;
