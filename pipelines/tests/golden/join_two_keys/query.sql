-- Two key columns, one of them nullable text.
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
  l_id INT,
  r_id INT,
  k INT,
  v BIGINT,
  w BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.id, r.id, l.k, l.v, r.w
FROM l
LEFT JOIN r ON l.k = r.k AND MOD(l.id, 4) = MOD(r.id, 4);
