-- A view of the clock that is read twice.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE first_one (
  id INT,
  b BOOLEAN
) WITH ('connector' = 'blackhole');

CREATE TABLE second_one (
  k INT,
  n BIGINT
) WITH ('connector' = 'blackhole');

CREATE VIEW stamped AS SELECT *, CURRENT_TIMESTAMP AS seen FROM ev;

EXECUTE STATEMENT SET BEGIN
INSERT INTO first_one SELECT id, seen > TO_TIMESTAMP_LTZ(0, 3) FROM stamped;
INSERT INTO second_one SELECT k, COUNT(seen) FROM stamped GROUP BY k;
END;
