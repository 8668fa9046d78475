-- USING gives the key once.
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
  l_id INT,
  r_id INT,
  w BIGINT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT k, l.id, r.id, w
FROM l JOIN r USING (k);
