-- A sum that is kept by key.
SET 'table.exec.state.ttl' = '1 d';

CREATE TABLE events (k BIGINT, v BIGINT) WITH (
  'connector' = 'datagen', 'number-of-rows' = '${EVENTS}', 'rows-per-second' = '1000000000',
  'fields.k.min' = '0', 'fields.k.max' = '${KEYS}', 'fields.v.min' = '0', 'fields.v.max' = '1000'
);

CREATE TABLE sums (k BIGINT, n BIGINT, total BIGINT, PRIMARY KEY (k) NOT ENFORCED) WITH ('connector' = 'blackhole');

INSERT INTO sums SELECT k, COUNT(*), SUM(v) FROM events GROUP BY k;
