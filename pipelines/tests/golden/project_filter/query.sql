-- Projection and filter alone.
CREATE TABLE ev (
  id INT,
  k INT,
  c STRING,
  v BIGINT,
  d DOUBLE,
  p DECIMAL(10, 2),
  ts TIMESTAMP(3)
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  a BIGINT,
  c STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT id, v * 3 - 1, c FROM ev WHERE v > 0 AND (c <> 'b' OR d IS NULL);
