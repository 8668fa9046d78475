-- The greatest rows of a join that changes.
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
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT e.id, t.n
FROM ev AS e JOIN (SELECT k, COUNT(*) AS n FROM ev GROUP BY k) AS t ON e.k = t.k
ORDER BY t.n DESC, e.id LIMIT 9;
