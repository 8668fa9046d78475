-- Viewers by title, each second: the pipeline that live_event.toml measures. It runs on Apache Flink as it is.
SET 'pipeline.name' = 'bench-live-event';

CREATE TABLE beats (
  title_id    BIGINT,
  intended_us BIGINT,
  event_time  TIMESTAMP(3),
  WATERMARK FOR event_time AS event_time - INTERVAL '1' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${TOPIC}',
  'properties.bootstrap.servers' = '${BOOTSTRAP}',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TABLE viewers (
  title_id    BIGINT,
  window_end  TIMESTAMP(3),
  beats       BIGINT,
  intended_us BIGINT
) WITH (
  'connector' = 'kafka',
  'topic' = '${ANSWERS}',
  'properties.bootstrap.servers' = '${BOOTSTRAP}',
  'format' = 'json'
);

INSERT INTO viewers
SELECT title_id, window_end, COUNT(*), MAX(intended_us)
FROM TABLE(TUMBLE(TABLE beats, DESCRIPTOR(event_time), INTERVAL '1' SECOND))
GROUP BY title_id, window_start, window_end;
