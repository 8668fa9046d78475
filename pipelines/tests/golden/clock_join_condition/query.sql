-- The clock in the condition of a join.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  a INT,
  b INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.id, r.id
FROM ev AS l JOIN ev AS r ON l.k = r.k AND l.id < r.id AND l.ts + INTERVAL '1' DAY < LOCALTIMESTAMP;
