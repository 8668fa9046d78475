-- Top-N over a join.
CREATE TABLE l (
  id INT,
  k INT,
  v BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/l.json', 'format' = 'json');

CREATE TABLE r (
  id INT,
  k INT,
  v BIGINT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/r.json', 'format' = 'json');

CREATE TABLE answer (
  k INT,
  l_id INT,
  r_id INT,
  total BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, l_id, r_id, total
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY total DESC, l_id, r_id) AS place
  FROM (SELECT l.k, l.id AS l_id, r.id AS r_id, l.v + r.v AS total FROM l JOIN r ON l.k = r.k)
)
WHERE place <= 2;
