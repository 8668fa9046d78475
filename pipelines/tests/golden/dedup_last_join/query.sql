-- Rows beside the last state of their key.
CREATE TABLE l (
  id INT,
  k INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/l.json', 'format' = 'json');

CREATE TABLE r (
  id INT,
  k INT,
  c STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/r.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  k INT,
  c STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.id, l.k, s.c
FROM l
LEFT JOIN (
  SELECT k, c FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS n FROM r) WHERE n = 1
) AS s ON l.k = s.k;
