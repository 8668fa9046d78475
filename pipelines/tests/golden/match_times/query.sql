-- Times among the measures.
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
  s TIMESTAMP(3),
  e TIMESTAMP(3),
  secs INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, CAST(s AS TIMESTAMP(3)), CAST(e AS TIMESTAMP(3)), TIMESTAMPDIFF(SECOND, s, e)
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES
    FIRST(A.ts) AS s,
    LAST(B.ts) AS e
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B+ C)
  DEFINE
    A AS A.kind = 'a',
    B AS B.kind = 'b',
    C AS C.kind <> 'b'
) AS m;
