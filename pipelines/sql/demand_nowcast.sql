-- Nowcasts and forecasts of demand: the day of all members from its hours so far, the next 24 hours
-- with weather and holidays, an LSTM beside them, and the hour of each title from its clicks so far.
SET 'pipeline.name' = 'demand_nowcast';
-- A region or title without demand for so long begins anew.
SET 'table.exec.state.ttl' = '90 d';

-- One row an hour and region; temp is scaled to 0..1.
CREATE TABLE demand (
  event_time TIMESTAMP(3),
  region     STRING,
  demand     DOUBLE,
  temp       DOUBLE,
  humidity   DOUBLE,
  windspeed  DOUBLE,
  workingday INT,
  holiday    INT,
  `hour`     INT,
  promotion  INT,
  -- All regions of an hour are in time for it.
  WATERMARK FOR event_time AS event_time - INTERVAL '1' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${DEMAND_TOPIC:-demand}',
  'properties.bootstrap.servers' = '${KAFKA_BOOTSTRAP_SERVERS:-embedded}',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = '${BOUNDED_MODE:-unbounded}',
  'format' = 'json'
);

CREATE TABLE clicks (
  event_time TIMESTAMP(3),
  title_id   BIGINT,
  event_type STRING,
  WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${CLICKS_TOPIC:-clicks}',
  'properties.bootstrap.servers' = '${KAFKA_BOOTSTRAP_SERVERS:-embedded}',
  'scan.startup.mode' = 'earliest-offset',
  'scan.bounded.mode' = '${BOUNDED_MODE:-unbounded}',
  'format' = 'json'
);

-- The estimate of a period that is not over, a series.
CREATE TABLE nowcasts (
  series       STRING,
  period_start TIMESTAMP(3),
  as_of        TIMESTAMP(3),
  so_far       DOUBLE,
  nowcast      DOUBLE,
  lower_bound  DOUBLE,
  upper_bound  DOUBLE,
  completion   DOUBLE,
  is_final     BOOLEAN,
  PRIMARY KEY (series) NOT ENFORCED
) WITH (
  'connector' = 'redis',
  'url' = '${REDIS_URL:-embedded://}',
  'ttl' = '30 d'
);

-- The next 24 hours, a series: element 1 is the next hour.
CREATE TABLE forecasts (
  series  STRING,
  made_at TIMESTAMP(3),
  hours   ARRAY<ROW<`timestamp` TIMESTAMP_LTZ(3), forecast_value DOUBLE, lower_bound DOUBLE, upper_bound DOUBLE>>,
  PRIMARY KEY (series) NOT ENFORCED
) WITH (
  'connector' = 'redis',
  'url' = '${REDIS_URL:-embedded://}',
  'ttl' = '30 d'
);

-- The LSTM's quantiles of the next 24 hours: (0.1, 0.5, 0.9) of the next hour, then of the one after.
CREATE TABLE lstm_forecasts (
  series    STRING,
  made_at   TIMESTAMP(3),
  quantiles ARRAY<FLOAT>,
  PRIMARY KEY (series) NOT ENFORCED
) WITH (
  'connector' = 'redis',
  'url' = '${REDIS_URL:-embedded://}',
  'ttl' = '30 d'
);

CREATE MODEL demand_lstm
INPUT (demand ARRAY<DOUBLE>, temp ARRAY<DOUBLE>, workingday ARRAY<INT>, `hour` ARRAY<INT>)
OUTPUT (quantiles ARRAY<FLOAT>)
WITH (
  'provider' = 'onnx',
  'path' = '${MODELS:-onnx_models}/demand_lstm/demand_lstm.onnx'
);

CREATE TEMPORARY VIEW demand_today AS
SELECT region, window_start, window_end, window_time, SUM(demand) AS so_far
FROM TABLE(CUMULATE(TABLE demand, DESCRIPTOR(event_time), INTERVAL '1' HOUR, INTERVAL '1' DAY))
GROUP BY region, window_start, window_end, window_time;

CREATE TEMPORARY VIEW demand_today_nowcast AS
SELECT region, window_start, window_end, so_far,
       ML_NOWCAST(so_far, window_start, window_end,
                  JSON_OBJECT('period' VALUE 86400, 'step' VALUE 3600, 'season' VALUE 7))
         OVER (PARTITION BY region ORDER BY window_time
               RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS n
FROM demand_today;

CREATE TEMPORARY VIEW demand_next_day AS
SELECT region, event_time,
       ML_FORECAST(demand, event_time, temp, CAST(workingday AS DOUBLE), CAST(holiday AS DOUBLE),
                   JSON_OBJECT('horizon' VALUE 24, 'season' VALUE 24))
         OVER (PARTITION BY region ORDER BY event_time
               RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS hours
FROM demand;

CREATE TEMPORARY VIEW demand_week AS
SELECT region, event_time,
       ARRAY_AGG(demand) OVER w AS demand,
       ARRAY_AGG(temp) OVER w AS temp,
       ARRAY_AGG(workingday) OVER w AS workingday,
       ARRAY_AGG(`hour`) OVER w AS `hour`
FROM demand
WINDOW w AS (PARTITION BY region ORDER BY event_time ROWS BETWEEN 167 PRECEDING AND CURRENT ROW);

CREATE TEMPORARY VIEW title_plays AS
SELECT title_id, window_start, window_end, window_time, CAST(COUNT(*) AS DOUBLE) AS so_far
FROM TABLE(CUMULATE(TABLE clicks, DESCRIPTOR(event_time), INTERVAL '5' MINUTES, INTERVAL '1' HOUR))
WHERE event_type = 'play'
GROUP BY title_id, window_start, window_end, window_time;

CREATE TEMPORARY VIEW title_plays_nowcast AS
SELECT title_id, window_start, window_end, so_far,
       ML_NOWCAST(so_far, window_start, window_end,
                  JSON_OBJECT('period' VALUE 3600, 'step' VALUE 300, 'season' VALUE 24))
         OVER (PARTITION BY title_id ORDER BY window_time
               RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS n
FROM title_plays;

EXECUTE STATEMENT SET BEGIN

INSERT INTO nowcasts
SELECT CONCAT('members:', region), window_start, window_end, so_far,
       n.nowcast, n.lower_bound, n.upper_bound, n.completion, n.is_final
FROM demand_today_nowcast;

INSERT INTO nowcasts
SELECT CONCAT('plays:', CAST(title_id AS STRING)), window_start, window_end, so_far,
       n.nowcast, n.lower_bound, n.upper_bound, n.completion, n.is_final
FROM title_plays_nowcast;

INSERT INTO forecasts
SELECT CONCAT('members:', region), event_time, hours FROM demand_next_day;

INSERT INTO lstm_forecasts
SELECT CONCAT('members:', region), event_time, quantiles
FROM ML_PREDICT(TABLE demand_week, MODEL demand_lstm, DESCRIPTOR(demand, temp, workingday, `hour`));

END;
