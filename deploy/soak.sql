-- The job of deploy/soak.sh: windows, a model and plain rows, from Kafka into Redis.
SET 'pipeline.name' = 'soak';

CREATE TABLE events (
  id          BIGINT,
  k           BIGINT,
  title_id    BIGINT,
  intended_us BIGINT,
  at          TIMESTAMP(3),
  WATERMARK FOR at AS at - INTERVAL '1' SECOND
) WITH (
  'connector' = 'kafka', 'topic' = '${TOPIC}', 'properties.bootstrap.servers' = '${BOOTSTRAP}',
  'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = '${BOUNDED:-unbounded}', 'format' = 'json'
);

-- One row in a hundred, whose way is timed.
CREATE TABLE sampled (id BIGINT, intended_us BIGINT, PRIMARY KEY (id) NOT ENFORCED) WITH (
  'connector' = 'redis', 'url' = '${REDIS}', 'ttl' = '1 min'
);

CREATE TABLE counts (k BIGINT, n BIGINT, titles BIGINT, window_end TIMESTAMP(3), PRIMARY KEY (k) NOT ENFORCED) WITH (
  'connector' = 'redis', 'url' = '${REDIS}', 'ttl' = '10 min'
);

CREATE TABLE scored (k BIGINT, titles ARRAY<BIGINT>, PRIMARY KEY (k) NOT ENFORCED) WITH (
  'connector' = 'redis', 'url' = '${REDIS}', 'ttl' = '10 min'
);

CREATE MODEL next_title INPUT (items ARRAY<BIGINT>) OUTPUT (top_items ARRAY<BIGINT>, top_scores ARRAY<FLOAT>)
WITH ('provider' = 'onnx', 'path' = '${MODELS}/next_title.onnx', 'monitor-interval' = '5 s');

-- Few keys, so that their state is full within seconds and grows no more.
CREATE TEMPORARY VIEW sessions AS
SELECT k, ARRAY_AGG(title_id) OVER (PARTITION BY k ORDER BY at ROWS BETWEEN 19 PRECEDING AND CURRENT ROW) AS items
FROM (SELECT MOD(k, 100) AS k, title_id, at FROM events WHERE MOD(id, 10) = 1);

EXECUTE STATEMENT SET BEGIN

INSERT INTO sampled SELECT id, intended_us FROM events WHERE MOD(id, 100) = 0;

INSERT INTO counts
SELECT k, COUNT(*), COUNT(DISTINCT title_id), window_end
FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(at), INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end;

INSERT INTO scored
SELECT k, top_items FROM ML_PREDICT(TABLE sessions, MODEL next_title, DESCRIPTOR(items));

END;
