-- Only the best row. Flink 2.3 takes each new best for an insert that replaces nothing;
-- the key of the sink makes it one that does.
CREATE TABLE ev (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  id INT,
  p DECIMAL(10, 2),
  PRIMARY KEY (k) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, id, p
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p DESC, id) AS place
  FROM ev
)
WHERE place = 1;
