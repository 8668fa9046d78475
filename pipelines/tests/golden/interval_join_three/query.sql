-- Two intervals in a chain.
CREATE TABLE a (
  id INT,
  k INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/a.json', 'format' = 'json');

CREATE TABLE b (
  id INT,
  k INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/b.json', 'format' = 'json');

CREATE TABLE c (
  id INT,
  k INT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/c.json', 'format' = 'json');

CREATE TABLE answer (
  a INT,
  b INT,
  c INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT ab.a_id, ab.b_id, c.id
FROM (
  SELECT a.id AS a_id, b.id AS b_id, a.k, a.ts
  FROM a JOIN b ON a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '6' SECOND
) AS ab
JOIN c ON ab.k = c.k AND c.ts BETWEEN ab.ts - INTERVAL '6' SECOND AND ab.ts + INTERVAL '6' SECOND;
