-- A pattern over two tables together.
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

CREATE VIEW both_sides AS
SELECT id, k, p, ts FROM t WHERE kind = 'a'
UNION ALL
SELECT id + 1000, k, p, ts FROM t WHERE kind = 'c';

INSERT INTO answer
SELECT *
FROM both_sides
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts, id
  MEASURES A.id AS a, B.id AS b
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B)
  DEFINE A AS A.id < 1000, B AS B.id >= 1000 AND B.p > A.p
) AS m;
