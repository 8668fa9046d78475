-- Groups with EXISTS: the left side updates.
CREATE TABLE l (
  id INT,
  k INT,
  v BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/l.json', 'format' = 'json');

CREATE TABLE r (
  id INT,
  k INT,
  w BIGINT,
  c STRING
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/r.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  n BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, n
FROM (SELECT k, COUNT(*) AS n FROM l GROUP BY k) AS g
WHERE EXISTS (SELECT 1 FROM r WHERE r.k = g.k AND r.w > 20);
