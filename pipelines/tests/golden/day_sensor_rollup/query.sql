-- minute roll-up of a sensor fleet, with the place of each device and a flag for heat
create table readings (
  device string,
  temperature double,
  humidity int,
  measured_at timestamp(3),
  watermark for measured_at as measured_at - interval '5' second
) with ('connector' = 'filesystem', 'path' = '${CASE}/readings.csv', 'format' = 'csv', 'csv.null-literal' = '');

create table devices (
  device string,
  room string,
  floor_no int
) with ('connector' = 'filesystem', 'path' = '${CASE}/devices.csv', 'format' = 'csv');

create table minute_rollup (
  room string,
  minute_start timestamp(3),
  readings bigint,
  coldest double,
  hottest double,
  mean_temperature double,
  spread int,
  state string
) with ('connector' = 'blackhole');

insert into minute_rollup
select
  coalesce(d.room, 'unknown'),
  m.window_start,
  m.readings,
  m.coldest,
  m.hottest,
  round(m.mean_temperature, 3),
  m.wettest - m.driest,
  case
    when m.hottest >= 38 then 'hot'
    when m.readings < 3 or m.mean_temperature is null then 'sparse'
    else 'ok'
  end
from (
  select
    device, window_start, window_end,
    count(*) as readings,
    min(temperature) as coldest,
    max(temperature) as hottest,
    avg(temperature) as mean_temperature,
    max(humidity) as wettest,
    min(humidity) as driest
  from table(tumble(table readings, descriptor(measured_at), interval '1' minute))
  group by device, window_start, window_end
) m
left join devices d on m.device = d.device;
