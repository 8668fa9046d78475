-- A second sort key orders the rows of one time.
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
  pa INT,
  pb INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts, p DESC, id
  MEASURES
    FIRST(A.id) AS a,
    B.id AS b,
    FIRST(A.p) AS pa,
    B.p AS pb
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A+ B)
  DEFINE
    A AS LAST(A.p, 1) IS NULL OR A.p <= LAST(A.p, 1),
    B AS B.p > LAST(A.p)
) AS m;
