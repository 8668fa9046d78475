-- The time of a match.
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
  happened TIMESTAMP(3),
  own TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, a, b, happened, CAST(own AS TIMESTAMP(3))
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES
    A.id AS a,
    LAST(B.id) AS b,
    MATCH_ROWTIME() AS happened,
    MATCH_ROWTIME(ts) AS own
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO NEXT ROW
  PATTERN (A B+? C)
  DEFINE
    B AS B.p > A.p,
    C AS C.p < 40
) AS m;
