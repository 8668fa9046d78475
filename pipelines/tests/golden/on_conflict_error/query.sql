-- Rows whose primary key no other row has.
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

CREATE TABLE by_key (
  k INT,
  n BIGINT,
  PRIMARY KEY (k) NOT ENFORCED
) WITH ('connector' = 'blackhole');

EXECUTE STATEMENT SET
BEGIN
INSERT INTO answer SELECT MAX(id), COUNT(*) FROM ev GROUP BY k ON CONFLICT DO ERROR;
INSERT INTO by_key SELECT k, COUNT(*) FROM ev GROUP BY k ON CONFLICT DO ERROR;
END;
