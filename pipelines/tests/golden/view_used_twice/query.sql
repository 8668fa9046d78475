-- One view on both sides of a join.
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

CREATE VIEW totals AS SELECT k, COUNT(*) AS n FROM ev GROUP BY k;

CREATE TABLE answer (
  k INT,
  n BIGINT,
  best BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT t.k, t.n, u.n
FROM totals AS t JOIN totals AS u ON t.k + 1 = u.k;
