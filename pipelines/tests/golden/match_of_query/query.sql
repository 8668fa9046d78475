-- A pattern over a query in FROM, one in WITH, and a name before it.
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
  how STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
WITH even AS (SELECT * FROM t WHERE MOD(id, 2) = 0)
SELECT k, a, b, 'from'
FROM (SELECT id, k, p + 1 AS q, ts FROM t WHERE kind <> 'b')
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES A.id AS a, FINAL LAST(B.id) AS b
  AFTER MATCH SKIP TO B
  PATTERN (A B)
  DEFINE B AS B.q > A.q
) AS m
UNION ALL
SELECT *, 'name'
FROM t AS s
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES A.id AS a, B.id AS b
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B)
  DEFINE B AS B.p < A.p AND B.kind = 'c'
)
UNION ALL
SELECT k, a, b, 'with'
FROM even
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES A.id AS a, B.id AS b
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B)
  DEFINE B AS B.p < A.p
) AS m;
