-- Keys of booleans and dates.
CREATE TABLE ev (
  id INT,
  b BOOLEAN,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  b BOOLEAN,
  day_ DATE,
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT b, CAST(ts AS DATE), COUNT(*), SUM(v)
FROM ev
GROUP BY b, CAST(ts AS DATE);
