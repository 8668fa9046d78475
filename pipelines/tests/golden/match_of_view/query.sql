-- A pattern over a view with a computed column, and groups of what it finds.
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
  most INT
) WITH ('connector' = 'blackhole');

CREATE VIEW doubled AS
SELECT id, k, p * 2 AS twice, ts AS happened FROM t WHERE kind <> 'b';

INSERT INTO answer
SELECT k, COUNT(*), MAX(peak)
FROM doubled
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY happened
  MEASURES LAST(UP.twice) AS peak
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (LOW UP+ DOWN)
  DEFINE
    UP AS UP.twice > LAST(UP.twice, 1) OR (LAST(UP.twice, 1) IS NULL AND UP.twice > LOW.twice),
    DOWN AS DOWN.twice < LAST(UP.twice)
)
GROUP BY k;
