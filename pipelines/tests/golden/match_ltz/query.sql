-- Times with a zone.
SET 'table.local-time-zone' = 'Europe/Berlin';

CREATE TABLE t (
  id INT,
  k STRING,
  p INT,
  kind STRING,
  ts TIMESTAMP(3),
  tz AS CAST(ts AS TIMESTAMP_LTZ(3)),
  WATERMARK FOR tz AS tz - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k STRING,
  a INT,
  b INT,
  happened TIMESTAMP_LTZ(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY tz
  MEASURES A.id AS a, LAST(B.id) AS b, MATCH_ROWTIME(tz) AS happened
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B+ C)
  DEFINE B AS B.p > A.p
) AS m;
