-- JSON arrays and objects of results that change.
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
  parity INT,
  counts STRING,
  by_key STRING,
  those_with_a_total STRING,
  PRIMARY KEY (parity) NOT ENFORCED
) WITH ('connector' = 'blackhole');

CREATE TABLE alone (
  k INT,
  totals STRING,
  PRIMARY KEY (k) NOT ENFORCED
) WITH ('connector' = 'blackhole');

CREATE TEMPORARY VIEW totals AS
SELECT k, SUM(v) AS total, COUNT(*) / 100 AS hundreds FROM ev GROUP BY k;

EXECUTE STATEMENT SET
BEGIN
INSERT INTO answer
SELECT
  MOD(k, 2),
  JSON_ARRAYAGG(hundreds),
  JSON_OBJECTAGG(KEY CAST(k AS STRING) VALUE total),
  JSON_OBJECTAGG(KEY CAST(k AS STRING) VALUE total ABSENT ON NULL)
FROM totals
GROUP BY MOD(k, 2);

INSERT INTO alone
SELECT k, JSON_ARRAYAGG(total NULL ON NULL) FROM totals GROUP BY k;
END;
