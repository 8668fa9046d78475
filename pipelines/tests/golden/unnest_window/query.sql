-- A window over elements: the time comes from the row.
CREATE TABLE t (
  id INT,
  tags ARRAY<STRING>,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE VIEW tagged AS
SELECT tag, ts FROM t CROSS JOIN UNNEST(tags) AS u(tag);

CREATE TABLE answer (
  tag STRING,
  ws TIMESTAMP(3),
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT tag, window_start, COUNT(*)
FROM TABLE(TUMBLE(TABLE tagged, DESCRIPTOR(ts), INTERVAL '20' SECOND))
GROUP BY tag, window_start, window_end;
