-- By alias and by position, an expression.
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
  w BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, v * -2 AS w FROM ev ORDER BY w, 1 DESC LIMIT 5;
