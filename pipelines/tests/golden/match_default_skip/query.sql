-- Without AFTER MATCH, and without ROWS PER MATCH: overlapping matches, one row each.
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
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES
    A.id AS a,
    C.id AS b
  PATTERN (A B C)
  DEFINE
    B AS B.p > A.p
) AS m;
