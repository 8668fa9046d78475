-- Matches of two patterns joined by their times.
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

CREATE VIEW rises AS
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES A.id AS a, MATCH_ROWTIME() AS happened
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B)
  DEFINE B AS B.p > A.p + 8
);

CREATE VIEW falls AS
SELECT *
FROM t
MATCH_RECOGNIZE (
  PARTITION BY k
  ORDER BY ts
  MEASURES B.id AS b, MATCH_ROWTIME() AS happened
  AFTER MATCH SKIP PAST LAST ROW
  PATTERN (A B)
  DEFINE B AS B.p < A.p - 8
);

INSERT INTO answer
SELECT r.k, r.a, f.b
FROM rises AS r
JOIN falls AS f ON f.k = r.k AND f.happened BETWEEN r.happened AND r.happened + INTERVAL '10' SECOND;
