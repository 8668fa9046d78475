-- Rows of a grouped subquery.
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
SELECT id, k, c FROM l WHERE (k, c) IN (SELECT k, MAX(c) FROM r GROUP BY k) AND v > 0;
