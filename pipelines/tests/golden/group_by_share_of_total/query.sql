-- Each group beside the total: a join with one updating row.
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
  k INT,
  s BIGINT,
  total BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT g.k, g.s, t.total
FROM (SELECT k, SUM(v) AS s FROM ev GROUP BY k) AS g
CROSS JOIN (SELECT SUM(v) AS total FROM ev) AS t;
