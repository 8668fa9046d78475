-- Two variables that may be missing.
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
  d INT
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
    C.id AS c,
    D.id AS d
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO NEXT ROW
  PATTERN (A B? C? D)
  DEFINE
    A AS A.kind = 'a',
    B AS B.p > 38,
    C AS C.p < 52,
    D AS D.kind <> 'a'
) AS m;
