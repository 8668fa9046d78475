-- What has no partner, by WHERE … IS NULL.
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
  k INT
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT l.id, l.k FROM l LEFT JOIN r ON l.k = r.k WHERE r.id IS NULL;
