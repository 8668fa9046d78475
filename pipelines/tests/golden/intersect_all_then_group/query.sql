-- Counted again; one side filtered, the result filtered.
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
  k INT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, COUNT(*) FROM (SELECT k, c FROM a INTERSECT ALL SELECT k, c FROM b WHERE v > 0) WHERE c <> 'b' GROUP BY k;
