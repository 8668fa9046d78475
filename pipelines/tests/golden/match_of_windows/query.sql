-- A pattern over windows.
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
  a TIMESTAMP(3),
  b TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

CREATE VIEW counts AS
SELECT k, window_start AS ws, window_time AS wt, COUNT(*) AS n
FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))
GROUP BY k, window_start, window_end, window_time;

INSERT INTO answer
SELECT k, CAST(a AS TIMESTAMP(3)), CAST(b AS TIMESTAMP(3)), n
FROM counts
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY wt
  MEASURES FIRST(A.ws) AS a, B.ws AS b, SUM(A.n) AS n
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A+ B)
  DEFINE A AS A.n <= 3, B AS B.n > 3
) AS m;
