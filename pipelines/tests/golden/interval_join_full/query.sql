-- Both.
CREATE TABLE l (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/l.json', 'format' = 'json');

CREATE TABLE r (
  id INT,
  k INT,
  w BIGINT,
  c STRING,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/r.json', 'format' = 'json');

CREATE TABLE answer (
  l_id INT,
  r_id INT,
  k INT,
  lts TIMESTAMP(3),
  rts TIMESTAMP(3)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.id, r.id, COALESCE(l.k, r.k), CAST(l.ts AS TIMESTAMP(3)), CAST(r.ts AS TIMESTAMP(3))
FROM l FULL OUTER JOIN r ON l.k = r.k AND r.ts BETWEEN l.ts - INTERVAL '6' SECOND AND l.ts + INTERVAL '4' SECOND;
