-- VALUES as a side of a join.
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
  id INT,
  k INT,
  name STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT e.id, e.k, n.name
FROM ev AS e
JOIN (VALUES (0, 'zero'), (1, 'one'), (1, 'uno'), (9, 'nine')) AS n(k, name) ON e.k = n.k;
