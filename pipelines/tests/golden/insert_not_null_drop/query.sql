-- Rows with a null in a column that is NOT NULL are dropped.
SET 'table.exec.sink.not-null-enforcer' = 'drop';
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
  id INT,
  v BIGINT NOT NULL,
  p DECIMAL(10, 2)
) WITH ('connector' = 'blackhole');

CREATE TABLE counts (
  v BIGINT,
  n BIGINT,
  PRIMARY KEY (v) NOT ENFORCED
) WITH ('connector' = 'blackhole');

CREATE TABLE not_five (
  k INT,
  n BIGINT NOT NULL,
  PRIMARY KEY (k) NOT ENFORCED
) WITH ('connector' = 'blackhole');

EXECUTE STATEMENT SET
BEGIN
INSERT INTO answer SELECT id, v, p FROM ev;
INSERT INTO counts SELECT v, COUNT(*) FROM ev GROUP BY v;
INSERT INTO not_five SELECT k, NULLIF(COUNT(*), 5) FROM ev GROUP BY k;
END;
