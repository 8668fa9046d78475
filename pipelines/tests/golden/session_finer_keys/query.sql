-- Sessions of a key, counted by another one too.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  odd BIGINT,
  n BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

CREATE VIEW with_odd AS SELECT *, MOD(v, 2) AS odd FROM ev;

INSERT INTO answer
SELECT k, odd, COUNT(*), SUM(v)
FROM TABLE(SESSION(TABLE with_odd PARTITION BY k, DESCRIPTOR(ts), INTERVAL '6' SECOND))
GROUP BY k, odd, window_start, window_end;
