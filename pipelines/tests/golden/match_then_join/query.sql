-- Matches joined with the rows around them.
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
  id INT
) WITH ('connector' = 'blackhole');

CREATE VIEW falls AS
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES A.id AS a, MATCH_ROWTIME() AS happened
  ONE ROW PER MATCH
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B)
  DEFINE B AS B.p < A.p - 15
);

INSERT INTO answer
SELECT f.k, f.a, t.id
FROM falls AS f
JOIN t ON t.k = f.k AND t.ts BETWEEN f.happened - INTERVAL '4' SECOND AND f.happened + INTERVAL '2' SECOND;
