-- Aggregates and first rows in conditions.
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
  b INT,
  c INT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES
    FIRST(A.id) AS a,
    LAST(B.id) AS b,
    C.id AS c,
    COUNT(B.id) AS n
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B+ C)
  DEFINE
    A AS A.kind = 'a',
    B AS B.p > FIRST(A.p) - 10 AND COUNT(B.id) <= 4 AND SUM(B.p) < 190,
    C AS C.p > AVG(B.p) OR MIN(B.p) IS NULL OR C.p < MAX(A.p)
) AS m;
