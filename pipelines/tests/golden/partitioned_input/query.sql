-- Columns that stand in the names of folders.
CREATE TABLE ev (
  id INT,
  `day` STRING,
  v BIGINT,
  country STRING
) PARTITIONED BY (`day`, country)
WITH ('connector' = 'filesystem', 'path' = '${CASE}/in', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  `day` STRING,
  v BIGINT,
  country STRING
) WITH ('connector' = 'blackhole');

CREATE TABLE totals (
  country STRING,
  v BIGINT
) WITH ('connector' = 'blackhole');

EXECUTE STATEMENT SET
BEGIN
INSERT INTO answer SELECT * FROM ev;
INSERT INTO totals SELECT country, SUM(v) FROM ev WHERE `day` = '2026-01-02' GROUP BY country;
END;
