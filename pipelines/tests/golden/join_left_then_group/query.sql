-- An aggregate over a left join: padded rows count, then do not.
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
  n BIGINT,
  partners BIGINT,
  s BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.k, COUNT(*), COUNT(r.id), SUM(r.w)
FROM l LEFT JOIN r ON l.k = r.k AND r.w > 0
GROUP BY l.k;
