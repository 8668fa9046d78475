-- A pattern over the matches of another.
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
  happened TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

CREATE VIEW rises AS
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES A.id AS id, B.p - A.p AS rise, MATCH_ROWTIME() AS happened
  AFTER MATCH SKIP TO NEXT ROW
  PATTERN (A B)
  DEFINE B AS B.p > A.p
);

INSERT INTO answer
SELECT *
FROM rises
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY happened
  MEASURES A.id AS a, B.id AS b, MATCH_ROWTIME() AS done
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B)
  DEFINE B AS B.rise > A.rise
) AS m;
