-- On to the first row of a variable, in matches that overlap.
CREATE TABLE t (
  id INT,
  k STRING,
  p INT,
  kind STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k STRING,
  a INT,
  nb BIGINT,
  nc BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES
    FIRST(A.id) AS a,
    COUNT(B.id) AS nb,
    COUNT(C.id) AS nc
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO FIRST C
  PATTERN (A{1,2}? B+ C{2})
  DEFINE
    A AS A.p > 34,
    B AS B.p > 40,
    C AS C.p < 56
) AS m;
