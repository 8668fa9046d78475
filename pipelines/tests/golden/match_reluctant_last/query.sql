-- The last variable as few times as possible.
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
    A.id AS a,
    COUNT(B.id) AS n,
    LAST(B.id) AS b
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO NEXT ROW
  PATTERN (A B{2,}?)
  DEFINE
    A AS A.kind = 'a',
    B AS B.p > 35
) AS m;
