-- The clock in a subquery.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id FROM ev WHERE k IN (SELECT k FROM ev WHERE ts < LOCALTIMESTAMP AND v > 40);
