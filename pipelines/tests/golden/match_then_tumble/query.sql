-- A legacy window over the times of matches.
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
  ws TIMESTAMP(3),
  n BIGINT,
  m INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, TUMBLE_START(happened, INTERVAL '1' MINUTE), COUNT(*), MAX(rise)
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES LAST(B.p) - A.p AS rise, MATCH_ROWTIME() AS happened
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO NEXT ROW
  PATTERN (A B+? C)
  DEFINE B AS B.p > A.p, C AS C.kind = 'c'
)
GROUP BY k, TUMBLE(happened, INTERVAL '1' MINUTE);
