-- SUM, AVG, MIN, MAX of all widths of whole numbers keep their type; AVG cuts toward zero.
CREATE TABLE ev (
  k INT,
  a TINYINT,
  b SMALLINT,
  c INT,
  d BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  sa TINYINT,
  aa TINYINT,
  la TINYINT,
  ha TINYINT,
  sb SMALLINT,
  ab SMALLINT,
  lb SMALLINT,
  hb SMALLINT,
  ac INT,
  lc INT,
  hc INT,
  sd BIGINT,
  ad BIGINT,
  ld BIGINT,
  hd BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start,
       SUM(a), AVG(a), MIN(a), MAX(a),
       SUM(b), AVG(b), MIN(b), MAX(b),
       AVG(c), MIN(c), MAX(c),
       SUM(d), AVG(d), MIN(d), MAX(d)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;
