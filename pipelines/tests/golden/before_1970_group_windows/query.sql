-- Group windows around the epoch.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' MINUTE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE tumbles (
  k INT,
  ws TIMESTAMP(3),
  rt TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

CREATE TABLE hops (
  k INT,
  ws TIMESTAMP(3),
  rt TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

CREATE TABLE sessions (
  k INT,
  ws TIMESTAMP(3),
  rt TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

EXECUTE STATEMENT SET BEGIN
INSERT INTO tumbles
SELECT k, TUMBLE_START(ts, INTERVAL '7' MINUTE), TUMBLE_ROWTIME(ts, INTERVAL '7' MINUTE), COUNT(*)
FROM ev GROUP BY k, TUMBLE(ts, INTERVAL '7' MINUTE);
INSERT INTO hops
SELECT k, HOP_START(ts, INTERVAL '4' MINUTE, INTERVAL '10' MINUTE), HOP_ROWTIME(ts, INTERVAL '4' MINUTE, INTERVAL '10' MINUTE), COUNT(*)
FROM ev GROUP BY k, HOP(ts, INTERVAL '4' MINUTE, INTERVAL '10' MINUTE);
INSERT INTO sessions
SELECT k, SESSION_START(ts, INTERVAL '2' MINUTE), SESSION_ROWTIME(ts, INTERVAL '2' MINUTE), COUNT(*)
FROM ev GROUP BY k, SESSION(ts, INTERVAL '2' MINUTE);
END;
