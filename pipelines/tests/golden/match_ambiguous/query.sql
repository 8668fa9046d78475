-- Rows that several variables could take.
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
  nc BIGINT,
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
    COUNT(B.id) AS nb,
    COUNT(C.id) AS nc,
    D.id AS d
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B*? C*? D)
  DEFINE
    A AS A.kind = 'a',
    B AS B.p > 34,
    C AS C.p < 56,
    D AS D.kind = 'c'
) AS m;
