-- Arithmetic over aggregates and rows.
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
  spread INT,
  total INT,
  mean INT,
  share DOUBLE,
  n BIGINT,
  n_all BIGINT,
  n_b BIGINT,
  p1 INT,
  p2 INT,
  px INT,
  ids STRING,
  sd DOUBLE,
  label STRING,
  last_id INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES
    MAX(A.p) - MIN(A.p) * 2 AS spread,
    SUM(A.p + A.id) + 1 AS total,
    AVG(A.p) AS mean,
    SUM(B.p) * 1.0E0 / COUNT(B.id) AS share,
    COUNT(*) AS n,
    COUNT(p) AS n_all,
    COUNT(B.p) AS n_b,
    FIRST(A.p, 1) AS p1,
    LAST(A.p, 2) AS p2,
    LAST(A.p + A.id, 1) AS px,
    LISTAGG(A.kind) AS ids,
    STDDEV_POP(CAST(A.p AS DOUBLE)) AS sd,
    CASE WHEN COUNT(B.id) = 0 THEN 'none' WHEN LAST(B.p) > LAST(A.p) THEN UPPER(LAST(B.kind)) ELSE LAST(A.kind) || '-' END AS label,
    LAST(id) AS last_id
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A{2,}? B*? C)
  DEFINE
    A AS A.p > 36,
    B AS B.p BETWEEN 33 AND 52,
    C AS C.kind = 'c' AND C.p < 45
) AS m;
