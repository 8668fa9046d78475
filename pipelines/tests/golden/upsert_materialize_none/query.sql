-- No state before the sink, though its key is not that of the query.
SET 'table.exec.sink.upsert-materialize' = 'NONE';
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
  m INT,
  n BIGINT,
  PRIMARY KEY (m) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT MAX(id), COUNT(*) FROM ev GROUP BY k ON CONFLICT DO DEDUPLICATE;
