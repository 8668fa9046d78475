-- The latest match of each key.
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
  b INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, a, b
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY happened DESC) AS n
  FROM t
  MATCH_RECOGNIZE (
    PARTITION BY k
    ORDER BY ts
    MEASURES A.id AS a, B.id AS b, MATCH_ROWTIME() AS happened
    AFTER MATCH SKIP PAST LAST ROW
    PATTERN (A B)
    DEFINE B AS B.p > A.p
  )
)
WHERE n = 1;
