-- Computed columns, one of them the event time.
CREATE TABLE ev (
  k INT,
  v BIGINT,
  ms BIGINT,
  payload ROW<name STRING, size INT>,
  doubled AS v * 2,
  name AS UPPER(payload.name),
  rt AS TO_TIMESTAMP_LTZ(ms, 3),
  day_of AS CAST(TO_TIMESTAMP_LTZ(ms, 3) AS DATE),
  WATERMARK FOR rt AS rt - INTERVAL '3' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  ws TIMESTAMP(3),
  name STRING,
  s BIGINT,
  sizes INT,
  day_of DATE
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, window_start, name, SUM(doubled), SUM(payload.size), MAX(day_of)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(rt), INTERVAL '30' SECOND))
GROUP BY k, name, window_start, window_end;
