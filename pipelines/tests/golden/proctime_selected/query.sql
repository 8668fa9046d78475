-- What the clock of a table says when it is selected.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  p AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  p TIMESTAMP_LTZ(3),
  q BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, CAST(NULL AS TIMESTAMP_LTZ(3)), p > TO_TIMESTAMP_LTZ(0, 3) FROM ev WHERE p IS NOT NULL;
