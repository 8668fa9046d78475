-- The first and the last row of each key by PROCTIME().
-- Arrival decides: rows count in the order in which they came.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE firsts (
  k INT,
  id INT,
  v BIGINT
) WITH ('connector' = 'blackhole');

CREATE TABLE lasts (
  k INT,
  id INT,
  v BIGINT,
  PRIMARY KEY (k) NOT ENFORCED
) WITH ('connector' = 'blackhole');

CREATE VIEW rows_of AS SELECT *, PROCTIME() AS p FROM ev WHERE k IS NOT NULL;

EXECUTE STATEMENT SET BEGIN
INSERT INTO firsts
SELECT k, id, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p) AS n FROM rows_of) WHERE n = 1;
INSERT INTO lasts
SELECT k, id, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY p DESC) AS n FROM rows_of) WHERE n = 1;
END;
