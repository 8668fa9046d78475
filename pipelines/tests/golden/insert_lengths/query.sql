-- Texts and bytes that are longer than the column they are inserted into.
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
  first_one VARCHAR(1),
  first_two VARCHAR(2),
  padded CHAR(4),
  cut CHAR(2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer SELECT id, c, c || 'ü€😀', 'ab', 'abc' FROM ev;
