-- Decimals: precision and scale of SUM and AVG.
CREATE TABLE ev (
  k INT,
  p DECIMAL(10, 2),
  q DECIMAL(18, 5),
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  sp DECIMAL(38, 2),
  ap DECIMAL(38, 6),
  lp DECIMAL(10, 2),
  hp DECIMAL(10, 2),
  sq DECIMAL(38, 5),
  aq DECIMAL(38, 6),
  spq DECIMAL(38, 7),
  sp1 DECIMAL(38, 2)
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start,
       SUM(p), AVG(p), MIN(p), MAX(p), SUM(q), AVG(q), SUM(p * q), SUM(p + 1)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY k, window_start, window_end;
