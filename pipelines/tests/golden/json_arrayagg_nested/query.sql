-- JSON within JSON arrays and objects of groups.
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
  objects STRING,
  arrays STRING,
  lists STRING,
  members STRING,
  outer_one STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT
  k,
  JSON_ARRAYAGG(JSON_OBJECT(KEY 'id' VALUE id, KEY 'v' VALUE v)),
  JSON_ARRAYAGG(JSON_ARRAY(id, v, c)),
  JSON_ARRAYAGG(ARRAY[id, k]),
  JSON_OBJECTAGG(KEY CAST(id AS STRING) VALUE JSON_OBJECT(KEY 'p' VALUE p)),
  JSON_OBJECT(KEY 'all' VALUE JSON_ARRAYAGG(id))
FROM ev GROUP BY k;
