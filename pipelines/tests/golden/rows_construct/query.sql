-- ROW and arrays of rows.
CREATE TABLE ev (
  id INT,
  n INT,
  s STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  f1 ROW<a INT, b STRING>,
  f2 ROW<a INT, b STRING>,
  f3 ARRAY<ROW<a INT, b STRING>>,
  f4 STRING,
  f5 STRING,
  f6 STRING,
  f7 ROW<a BIGINT, b STRING>,
  f8 ARRAY<BIGINT>,
  f9 MAP<STRING, BIGINT>
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id,
       ROW(n, s),
       (n, s || 'x'),
       ARRAY[ROW(n, s), ROW(1, s)],
       CAST(ROW(n, s) AS STRING),
       CAST(ARRAY[n, 2] AS STRING),
       CAST(MAP['k', n] AS STRING),
       CAST(ROW(n, s) AS ROW<a BIGINT, b STRING>),
       CAST(ARRAY[n, 2] AS ARRAY<BIGINT>),
       CAST(MAP['k', n] AS MAP<STRING, BIGINT>)
FROM ev;
