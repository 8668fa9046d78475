-- Conditions with times, texts and lists.
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
  c INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES
    A.id AS a,
    B.id AS b,
    LAST(C.id) AS c
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B C{1,3}? D)
  DEFINE
    A AS A.kind IN ('a', 'b') AND A.p BETWEEN 32 AND 58,
    B AS B.ts < A.ts + INTERVAL '4' SECOND AND TIMESTAMPDIFF(SECOND, A.ts, B.ts) >= 1,
    C AS C.kind LIKE '%c%' OR COALESCE(C.p, 0) = 0 OR CASE WHEN C.p > 45 THEN B.p > 40 ELSE A.p < 50 END,
    D AS UPPER(D.kind) || 'x' <> CONCAT(UPPER(A.kind), 'x') OR ABS(D.p - A.p) > 10 OR CAST(D.p AS STRING) LIKE '4%'
) AS m;
