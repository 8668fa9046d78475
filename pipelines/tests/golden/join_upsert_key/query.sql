-- Keyed rows beside an aggregate of the same key: the sink is keyed so too.
CREATE TABLE accounts (
  id INT,
  owner STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/accounts.json', 'format' = 'json');

CREATE TABLE payments (
  acc INT,
  amount INT
) WITH ('connector' = 'filesystem', 'path' = '${CASE}/payments.json', 'format' = 'json');

CREATE TABLE answer (
  id INT,
  owner STRING,
  n BIGINT,
  balance INT,
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'blackhole');

INSERT INTO answer
SELECT a.id, a.owner, p.n, p.balance
FROM accounts AS a
LEFT JOIN (SELECT acc, COUNT(*) AS n, SUM(amount) AS balance FROM payments GROUP BY acc) AS p ON a.id = p.acc;
