-- None or more rows at first, as many as possible.
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
    COUNT(A.id) AS n,
    B.id AS b
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A* B)
  DEFINE
    A AS A.p > 40,
    B AS B.kind = 'b'
) AS m;
