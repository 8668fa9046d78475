-- Both sides change: counts of groups.
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
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT n FROM (SELECT COUNT(*) AS n FROM a GROUP BY k) EXCEPT ALL SELECT n FROM (SELECT COUNT(*) AS n FROM b GROUP BY k, c);
