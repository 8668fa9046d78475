-- State before sinks whose key is that of the query, or whose query only inserts.
SET 'table.exec.sink.upsert-materialize' = 'FORCE';
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
  n BIGINT,
  PRIMARY KEY (k) NOT ENFORCED
) WITH ('connector' = 'blackhole');

CREATE TABLE by_id (
  id INT,
  v BIGINT,
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'blackhole');

EXECUTE STATEMENT SET
BEGIN
INSERT INTO answer SELECT k, COUNT(*) FROM ev GROUP BY k;
INSERT INTO by_id SELECT id, v FROM ev;
END;
