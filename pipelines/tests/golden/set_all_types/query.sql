-- INT and BIGINT.
CREATE TABLE a (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/a.json', 'format' = 'json');

CREATE TABLE b (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/b.json', 'format' = 'json');

CREATE TABLE answer (
  k BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k FROM a INTERSECT ALL SELECT v FROM b;
