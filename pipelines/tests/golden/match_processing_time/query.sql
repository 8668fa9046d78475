-- In the order of arrival.
-- Arrival decides: rows are taken in the order in which they come.
CREATE TABLE t (
  id INT,
  k STRING,
  p INT,
  kind STRING,
  ts TIMESTAMP(3),
  pt AS PROCTIME(),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k STRING,
  a INT,
  n BIGINT,
  b INT,
  timed BOOLEAN
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, a, n, b, happened IS NOT NULL
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY pt
  MEASURES
    FIRST(A.id) AS a,
    COUNT(A.id) AS n,
    B.id AS b,
    MATCH_PROCTIME() AS happened
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A+ B)
  DEFINE
    A AS LAST(A.p, 1) IS NULL OR A.p > LAST(A.p, 1),
    B AS B.p < LAST(A.p)
) AS m;
