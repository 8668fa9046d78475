-- An aggregate over VALUES.
CREATE TABLE answer (
  b STRING,
  n BIGINT,
  s INT,
  PRIMARY KEY (b) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT b, COUNT(*), SUM(a)
FROM (VALUES (1, 'x'), (2, 'y'), (3, 'x'), (4, 'y'), (5, 'w')) AS t(a, b)
GROUP BY b;
