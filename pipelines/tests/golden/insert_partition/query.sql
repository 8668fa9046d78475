-- Values of partitions that the statement gives.
CREATE TABLE answer (
  id INT,
  `day` STRING,
  name STRING,
  hour_of_day INT
) PARTITIONED BY (`day`, hour_of_day) WITH ('connector' = 'blackhole');

EXECUTE STATEMENT SET
BEGIN
INSERT INTO answer PARTITION (`day` = '2026-01-02', hour_of_day = 7) VALUES (1, 'a'), (2, 'b');
INSERT INTO answer PARTITION (`day` = '2026-01-03') VALUES (3, 'c', 8), (4, CAST(NULL AS STRING), 9);
INSERT INTO answer PARTITION (`day` = '2026-01-04') (id, hour_of_day) SELECT 5, 10;
END;
