-- COLLECT of values that are taken back.
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
  m INT,
  ns MULTISET<BIGINT>
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT MOD(k, 2), COLLECT(n)
FROM (SELECT k, COUNT(*) AS n FROM ev GROUP BY k)
GROUP BY MOD(k, 2);
