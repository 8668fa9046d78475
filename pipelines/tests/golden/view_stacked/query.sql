-- A view over a view over a table.
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

CREATE VIEW positive AS SELECT k, v FROM ev WHERE v > 0;
CREATE TEMPORARY VIEW totals (k, n, s) AS SELECT k, COUNT(*), SUM(v) FROM positive GROUP BY k;

CREATE TABLE answer (
  k INT,
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT * FROM totals WHERE n > 3;
