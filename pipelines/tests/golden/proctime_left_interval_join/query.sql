-- An outer interval join by the clock: rows without partner at the end of input.
CREATE TABLE ev (
  id INT,
  k INT,
  v BIGINT,
  ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/input.json', 'format' = 'json');

CREATE TABLE answer (
  a INT,
  b INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.id, r.id
FROM (SELECT *, PROCTIME() AS p FROM ev) AS l LEFT JOIN (SELECT *, PROCTIME() AS p FROM ev WHERE v > 25) AS r
ON l.k = r.k AND l.p BETWEEN r.p - INTERVAL '5' HOUR AND r.p + INTERVAL '5' HOUR;
