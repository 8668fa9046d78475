-- Equal rows on both sides multiply.
CREATE TABLE l (
  id INT,
  k INT,
  v BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/l.json', 'format' = 'json');

CREATE TABLE r (
  id INT,
  k INT,
  w BIGINT,
  c STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/r.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  c STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.k, r.c
FROM (SELECT k FROM l) AS l LEFT JOIN (SELECT k, c FROM r WHERE c = 'a' OR c = 'b') AS r ON l.k = r.k;
