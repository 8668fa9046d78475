-- Matches so far, in the order of their times.
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
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, a, COUNT(*) OVER (PARTITION BY k ORDER BY happened ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES A.id AS a, MATCH_ROWTIME() AS happened
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B)
  DEFINE B AS B.p > A.p
) AS m
WHERE a > 5;
