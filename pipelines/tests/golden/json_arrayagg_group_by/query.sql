-- JSON arrays and objects of groups.
-- Arrival decides.
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
  xs STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, JSON_ARRAYAGG(id) FROM ev GROUP BY k;
