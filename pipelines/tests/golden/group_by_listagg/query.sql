-- Strings joined as rows arrive.
-- Arrival decides: values are taken in the order in which they came.
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
  all_ STRING,
  some_ STRING,
  kinds STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, LISTAGG(c), LISTAGG(c, '|') FILTER (WHERE v > 0), LISTAGG(DISTINCT c, ';') FROM ev GROUP BY k;
