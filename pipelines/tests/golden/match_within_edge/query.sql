-- A match is shorter than WITHIN: one of just that length is none.
-- Arrival decides: rows of one time stay in the order in which they came.
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
  secs INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES
    A.id AS a,
    B.id AS b,
    TIMESTAMPDIFF(SECOND, A.ts, B.ts) AS secs
  ONE ROW PER MATCH
  AFTER MATCH SKIP TO NEXT ROW
  PATTERN (A X*? B) WITHIN INTERVAL '4' SECOND
  DEFINE
    A AS A.kind = 'a',
    B AS B.kind = 'b'
) AS m;
