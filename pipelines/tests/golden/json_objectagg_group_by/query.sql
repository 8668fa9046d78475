-- JSON objects of groups: with nulls, or without where the query says so.
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
  decimals STRING,
  strings STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT
  k,
  JSON_OBJECTAGG(KEY CAST(id AS STRING) VALUE v),
  JSON_OBJECTAGG(CAST(id AS STRING) VALUE v NULL ON NULL),
  JSON_OBJECTAGG(KEY CAST(id AS STRING) VALUE v ABSENT ON NULL),
  JSON_OBJECTAGG(KEY c || CAST(id AS STRING) VALUE p),
  JSON_OBJECTAGG(KEY 'id "' || CAST(id AS STRING) VALUE c)
FROM ev GROUP BY k;
