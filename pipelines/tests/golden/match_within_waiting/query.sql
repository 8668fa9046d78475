-- Matches wait for runs that began before them, until those are too long.
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
    COUNT(X.id) AS n,
    B.id AS b
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A X+? B) WITHIN INTERVAL '20' SECOND
  DEFINE
    A AS A.kind = 'a',
    B AS B.p > A.p + 12
) AS m;
