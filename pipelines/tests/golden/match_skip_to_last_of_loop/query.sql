-- On to the last row of a variable that repeats.
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
  n BIGINT,
  b INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES
    FIRST(A.id) AS a,
    COUNT(A.id) AS n,
    B.id AS b
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO LAST A
  PATTERN (A{2,} B)
  DEFINE
    A AS A.p > 36,
    B AS B.p <= 36
) AS m;
