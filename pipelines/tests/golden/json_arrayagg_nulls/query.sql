-- JSON arrays of values of each type: nulls are left out, or kept where the query says so.
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
  plain STRING,
  kept STRING,
  absent STRING,
  doubles STRING,
  decimals STRING,
  strings STRING,
  times STRING,
  booleans STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT
  k,
  JSON_ARRAYAGG(v),
  JSON_ARRAYAGG(v NULL ON NULL),
  JSON_ARRAYAGG(v ABSENT ON NULL),
  JSON_ARRAYAGG(d NULL ON NULL),
  JSON_ARRAYAGG(p NULL ON NULL),
  JSON_ARRAYAGG(c || '"\ü' NULL ON NULL),
  JSON_ARRAYAGG(CAST(ts AS STRING)),
  JSON_ARRAYAGG(v > 10 NULL ON NULL)
FROM ev GROUP BY k;
