-- DISTINCT over a join.
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
  c STRING
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT DISTINCT l.k, r.c FROM l JOIN r ON l.k = r.k;
