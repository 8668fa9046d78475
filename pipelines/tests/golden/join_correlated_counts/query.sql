-- Counts of correlated subqueries are 0 where there is no row, other aggregates are null.
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
  id INT,
  k INT,
  v BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT id, (SELECT MAX(CAST(r.w AS INT)) FROM r WHERE r.k = l.k AND r.w > 0), n FROM (
  SELECT id, k, (SELECT COUNT(w) + 10 FROM r WHERE r.k = l.k) AS n FROM l
) AS l;
