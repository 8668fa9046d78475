-- Group windows in a zone: hops and sessions, their row time is an instant.
SET 'table.local-time-zone' = 'Pacific/Auckland';

CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ms BIGINT,
  ts AS TO_TIMESTAMP_LTZ(ms, 3),
  WATERMARK FOR ts AS ts - INTERVAL '10' MINUTE
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE hops (
  k INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  rt TIMESTAMP_LTZ(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

CREATE TABLE sessions (
  k INT,
  ws TIMESTAMP(3),
  we TIMESTAMP(3),
  rt TIMESTAMP_LTZ(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

EXECUTE STATEMENT SET BEGIN
INSERT INTO hops
SELECT k, HOP_START(ts, INTERVAL '20' MINUTE, INTERVAL '1' HOUR), HOP_END(ts, INTERVAL '20' MINUTE, INTERVAL '1' HOUR),
  HOP_ROWTIME(ts, INTERVAL '20' MINUTE, INTERVAL '1' HOUR), COUNT(*)
FROM ev
GROUP BY k, HOP(ts, INTERVAL '20' MINUTE, INTERVAL '1' HOUR);
INSERT INTO sessions
SELECT k, SESSION_START(ts, INTERVAL '10' MINUTE), SESSION_END(ts, INTERVAL '10' MINUTE),
  SESSION_ROWTIME(ts, INTERVAL '10' MINUTE), COUNT(*)
FROM ev
GROUP BY k, SESSION(ts, INTERVAL '10' MINUTE);
END;
