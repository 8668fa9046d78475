-- By expressions, of expressions.
CREATE TABLE ev (
  id INT,
  k INT,
  o INT,
  v BIGINT,
  c STRING,
  d DOUBLE,
  ts TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  s BIGINT,
  d DOUBLE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, SUM(v * 2) OVER w + 1, AVG(d - 1) OVER w
FROM ev
WINDOW w AS (PARTITION BY k + 1, UPPER(c) ORDER BY CAST(d AS DECIMAL(5, 0)));
