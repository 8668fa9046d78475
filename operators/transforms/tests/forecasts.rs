//! ML_FORECAST and ML_NOWCAST against a model for each key, driven by hand.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Float64Type, SchemaRef, TimeUnit};
use common::*;
use nowcast_engine::{Batch, Operator, Output, Result, Time};
use nowcast_forecast::{Completion, CompletionOptions, Forecaster, Options};
use nowcast_transforms::*;
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000;
const STEP: i64 = HOUR / 4;

fn forecast_type() -> DataType {
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let fields = vec![
        Field::new("timestamp", utc, true),
        Field::new("forecast_value", DataType::Float64, true),
        Field::new("lower_bound", DataType::Float64, true),
        Field::new("upper_bound", DataType::Float64, true),
    ];
    DataType::List(Arc::new(Field::new_list_field(DataType::Struct(fields.into()), true)))
}

fn nowcast_type() -> DataType {
    let float = |name| Field::new(name, DataType::Float64, true);
    let fields = vec![
        float("nowcast"),
        float("lower_bound"),
        float("upper_bound"),
        float("completion"),
        Field::new("is_final", DataType::Boolean, true),
    ];
    DataType::Struct(fields.into())
}

/// A daily rhythm with a key of its own, and something like weather.
fn value(key: &str, hour: i64) -> f64 {
    let size = if key == "br" { 40.0 } else { 100.0 };
    let turn = (hour as f64) * std::f64::consts::TAU / 6.0;
    let wobble = ((hour * 7919) % 23) as f64 - 11.0;
    (size + size / 3.0 * turn.sin() + wobble + weather(hour) * 4.0).max(0.0)
}

fn weather(hour: i64) -> f64 {
    ((hour * 104_729) % 5) as f64
}

const INPUT: [(&str, DataType); 3] =
    [("ts", MS), ("key", DataType::Utf8), ("value", DataType::Float64)];

/// Time, key, value.
type Hour = (i64, &'static str, Option<f64>);

/// Hourly rows of two keys. One key has a gap; one value is null.
fn hours() -> (RecordBatch, Vec<Hour>) {
    let mut rows = vec![];
    for hour in 0..60 {
        for key in ["br", "us"] {
            if key == "br" && (20..23).contains(&hour) {
                continue;
            }
            let null = key == "us" && hour == 31;
            rows.push((hour * HOUR, key, (!null).then(|| value(key, hour))));
        }
    }
    let columns: Vec<ArrayRef> = vec![
        times(rows.iter().map(|row| Some(row.0)).collect()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.2))),
    ];
    (RecordBatch::try_new(schema(&INPUT), columns).unwrap(), rows)
}

fn over(input: SchemaRef, function: OverFunction, output: DataType) -> OverSpec {
    let mut fields = input.fields().to_vec();
    fields.push(Arc::new(Field::new("answer", output, true)));
    OverSpec {
        order: OverOrder::EventTime(0),
        partition: vec![1],
        frame: Frame::Range { preceding_ms: None },
        functions: vec![function],
        ttl_ms: None,
        input_schema: input,
        schema: Arc::new(arrow::datatypes::Schema::new(fields)),
    }
}

fn forecast_spec(options: Value) -> OverSpec {
    let call = ForecastCall { value: 2, time: 0, regressors: vec![], options };
    over(schema(&INPUT), OverFunction::Forecast(call), forecast_type())
}

/// All output batches of a run, one after the other.
fn run(operator: &mut dyn Operator, feed: &Feed, size: usize) -> RecordBatch {
    let mut out = Output::default();
    feed.run(operator, 0..feed.len(), size, &mut out);
    operator.on_time(Time::Event(i64::MAX), &mut out).unwrap();
    let batches: Vec<RecordBatch> =
        out.take_batches().iter().map(|batch| batch.rows().clone()).collect();
    arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[test]
fn each_key_has_the_forecast_of_its_own_model() {
    let (rows, plain) = hours();
    let options = json!({"season": 6, "confidence": 0.8});
    let mut models: BTreeMap<&str, (i64, Forecaster)> = BTreeMap::new();
    let mut expected = vec![];
    for (time, key, value) in &plain {
        let fresh = || Forecaster::new(&Options::from_json(&options).unwrap()).unwrap();
        let (last, model) = models.entry(key).or_insert_with(|| (time - HOUR, fresh()));
        for _ in 1..(time - *last) / HOUR {
            model.observe(None, &[]).unwrap();
        }
        model.observe(*value, &[]).unwrap();
        *last = *time;
        let ahead = model.forecast(3, None).unwrap().unwrap();
        expected.push((*time, ahead));
    }
    assert!(models.values().all(|(_, model)| model.is_warm()));

    let all_times: Vec<Option<i64>> = plain.iter().map(|row| Some(row.0)).collect();
    let feed = Feed::new(rows, &all_times, HOUR);
    let mut with_call = options.clone();
    with_call["horizon"] = json!(3);
    for given in [None, Some(HOUR / 1000)] {
        if let Some(period) = given {
            with_call["period"] = json!(period);
        }
        for size in SIZES {
            let mut operator = Over::new(forecast_spec(with_call.clone())).unwrap();
            let made = run(&mut operator, &feed, size);
            assert_eq!(made.num_rows(), expected.len());
            let lists = made.column(3).as_list::<i32>();
            for (row, (time, ahead)) in expected.iter().enumerate() {
                // Before a second row, the distance to the next period is not known.
                if given.is_none() && row < 2 {
                    assert!(lists.is_null(row));
                    continue;
                }
                let list = lists.value(row);
                let list = list.as_struct();
                let at = nowcast_engine::time::to_millis(list.column(0)).unwrap();
                assert_eq!(at.values(), &[time + HOUR, time + 2 * HOUR, time + 3 * HOUR]);
                let column =
                    |nth: usize| list.column(nth).as_primitive::<Float64Type>().values().to_vec();
                assert_eq!(column(1), ahead.iter().map(|one| one.mean).collect::<Vec<_>>());
                assert_eq!(column(2), ahead.iter().map(|one| one.lower).collect::<Vec<_>>());
                assert_eq!(column(3), ahead.iter().map(|one| one.upper).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_restored_forecast_goes_on_bit_for_bit() {
    let (rows, plain) = hours();
    let all_times: Vec<Option<i64>> = plain.iter().map(|row| Some(row.0)).collect();
    let feed = Feed::new(rows, &all_times, HOUR);
    let spec = forecast_spec(json!({"season": 6, "horizon": 2}));
    let make = || Over::new(spec.clone()).unwrap();
    let undisturbed = whole(&mut make(), &feed, 7);
    for half in [1, 60, 110] {
        assert_eq!(resumed(make, &feed, half), undisturbed);
    }
    assert_eq!(split(make, &feed, 60, by_key(vec![1])).sorted(), undisturbed.sorted());
}

#[test]
fn a_time_is_learned_once_and_an_unknown_value_gives_null() {
    let columns: Vec<ArrayRef> = vec![
        times(vec![Some(0), Some(HOUR), Some(HOUR)]),
        Arc::new(StringArray::from(vec!["br"; 3])),
        Arc::new(Float64Array::from(vec![None, Some(10.0), Some(99.0)])),
    ];
    let rows = RecordBatch::try_new(schema(&INPUT), columns).unwrap();
    let feed = Feed::new(rows, &[Some(0), Some(HOUR), Some(HOUR)], 100);
    let mut operator = Over::new(forecast_spec(json!({}))).unwrap();
    let made = run(&mut operator, &feed, 3);
    let lists = made.column(3).as_list::<i32>();
    assert!(lists.is_null(0));
    assert_eq!(lists.value(1).as_ref(), lists.value(2).as_ref());
    let mean = lists.value(1);
    assert_eq!(mean.as_struct().column(1).as_primitive::<Float64Type>().value(0), 10.0);
}

const WINDOWS: [(&str, DataType); 6] = [
    ("window_time", MS),
    ("key", DataType::Utf8),
    ("value", DataType::Float64),
    ("window_start", MS),
    ("window_end", MS),
    ("weather", DataType::Float64),
];

/// A partial of a period: key, start, step from 1, cumulative value.
type Partial = (&'static str, i64, usize, Option<f64>);

/// CUMULATE rows of hours in quarters, in order of window time. The first quarter of every third
/// hour has no row; one key has no rows for three hours.
fn partials() -> Vec<Partial> {
    let mut rows = vec![];
    for hour in 0..60 {
        for step in 1..=4 {
            for key in ["br", "us"] {
                let gap = key == "br" && (30..33).contains(&hour);
                let quiet = hour % 3 == 0 && step == 1;
                if gap || quiet {
                    continue;
                }
                let share = [0.0, 0.2, 0.45, 0.8, 1.0][step] + (hour % 2) as f64 * 0.02;
                let share = if step == 4 { 1.0 } else { share };
                rows.push((key, hour * HOUR, step, Some((value(key, hour) * share).round())));
            }
        }
    }
    rows
}

fn partial_columns(rows: &[Partial]) -> RecordBatch {
    let end = |row: &Partial| row.1 + row.2 as i64 * STEP;
    let columns: Vec<ArrayRef> = vec![
        times(rows.iter().map(|row| Some(end(row) - 1)).collect()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.3))),
        times(rows.iter().map(|row| Some(row.1)).collect()),
        times(rows.iter().map(|row| Some(end(row))).collect()),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| weather(row.1 / HOUR)))),
    ];
    RecordBatch::try_new(schema(&WINDOWS), columns).unwrap()
}

fn nowcast_spec(regressors: &[usize], options: Value) -> OverSpec {
    let regressors = regressors.to_vec();
    let call = NowcastCall { value: 2, window_start: 3, window_end: 4, regressors, options };
    over(schema(&WINDOWS), OverFunction::Nowcast(call), nowcast_type())
}

fn partial_feed(rows: &[Partial]) -> Feed {
    let all_times: Vec<Option<i64>> =
        rows.iter().map(|row| Some(row.1 + row.2 as i64 * STEP - 1)).collect();
    Feed::new(partial_columns(rows), &all_times, HOUR)
}

/// Nowcast, lower, upper, completion of every row.
fn by_hand(rows: &[Partial], weathered: bool) -> Vec<[f64; 4]> {
    let width = usize::from(weathered);
    let options = Options::from_json(&json!({"season": 6, "regressors": width})).unwrap();
    let shape = CompletionOptions { steps: 4, season: 6, ..CompletionOptions::default() };
    let mut answers = vec![[0.0; 4]; rows.len()];
    for key in ["br", "us"] {
        let mut model = Forecaster::new(&options).unwrap();
        let mut profile = Completion::new(&shape).unwrap();
        let mut expected_hour = None;
        let hours: BTreeMap<i64, Vec<usize>> = (0..rows.len())
            .filter(|nth| rows[*nth].0 == key)
            .fold(BTreeMap::new(), |mut hours, nth| {
                hours.entry(rows[nth].1 / HOUR).or_insert_with(Vec::new).push(nth);
                hours
            });
        for (hour, members) in hours {
            let weather = [weather(hour)];
            let regressors = &weather[..width];
            for _ in expected_hour.unwrap_or(hour)..hour {
                model.observe(None, &vec![f64::NAN; width]).unwrap();
            }
            expected_hour = Some(hour + 1);
            let future = [regressors.to_vec()];
            let future = weathered.then_some(&future[..]);
            let prior = model.forecast(1, future).unwrap().map(|all| all[0]);
            let mut so_far = vec![0.0; 4];
            let position = (hour % 6) as usize;
            for nth in members {
                let (_, _, step, partial) = rows[nth];
                let partial = partial.unwrap();
                so_far[step - 1..].fill(partial);
                if step == 4 {
                    answers[nth] = [partial, partial, partial, 1.0];
                    profile.learn(position, &so_far, partial, prior.as_ref()).unwrap();
                    model.observe(Some(partial), regressors).unwrap();
                    continue;
                }
                let estimate = profile.nowcast(position, step, partial, prior.as_ref()).unwrap();
                let share = profile.share(position, step - 1).unwrap_or(step as f64 / 4.0);
                answers[nth] = match estimate {
                    Some(estimate) => [estimate.mean, estimate.lower, estimate.upper, share],
                    None => [f64::NAN, f64::NAN, f64::NAN, share],
                };
            }
        }
    }
    answers
}

#[test]
fn each_key_has_the_nowcast_of_its_own_model_and_profile() {
    let rows = partials();
    for regressors in [vec![], vec![5]] {
        let expected = by_hand(&rows, !regressors.is_empty());
        for size in SIZES {
            let options = json!({"season": 6, "period": 3600, "step": 900});
            let spec = nowcast_spec(&regressors, options);
            let made = run(&mut Over::new(spec).unwrap(), &partial_feed(&rows), size);
            assert_eq!(made.num_rows(), rows.len());
            let answers = made.column(6).as_struct();
            let finals = answers.column(4).as_boolean();
            for (nth, wanted) in expected.iter().enumerate() {
                assert_eq!(finals.value(nth), rows[nth].2 == 4);
                for (column, wanted) in answers.columns().iter().zip(wanted) {
                    let column = column.as_primitive::<Float64Type>();
                    let got = column.is_valid(nth).then(|| column.value(nth));
                    let wanted = Some(*wanted).filter(|wanted| wanted.is_finite());
                    assert_eq!(got, wanted, "row {nth} {:?}", rows[nth]);
                }
            }
        }
    }
}

#[test]
fn a_restored_nowcast_goes_on_bit_for_bit() {
    let rows = partials();
    let feed = partial_feed(&rows);
    let options = json!({"season": 6, "period": 3600, "step": 900});
    let spec = nowcast_spec(&[5], options);
    let make = || Over::new(spec.clone()).unwrap();
    let undisturbed = whole(&mut make(), &feed, 7);
    for half in [1, 222, 350] {
        assert_eq!(resumed(make, &feed, half), undisturbed);
    }
    assert_eq!(split(make, &feed, 222, by_key(vec![1])).sorted(), undisturbed.sorted());
}

#[test]
fn rows_of_a_period_that_is_over_change_nothing() {
    let period = json!({"period": 3600, "step": 900});
    let mut operator = Over::new(nowcast_spec(&[], period)).unwrap();
    let rows = [
        ("br", 0, 4, Some(8.0)),
        ("br", HOUR, 1, Some(3.0)),
        ("br", 0, 1, Some(5.0)),
        ("br", 0, 4, Some(9.0)),
        ("br", HOUR, 2, None),
        ("br", HOUR, 4, None),
    ];
    let mut out = Output::default();
    let mut spec = nowcast_spec(&[], json!({"period": 3600, "step": 900}));
    spec.order = OverOrder::ProcessingTime;
    let mut at_once = Over::new(spec).unwrap();
    at_once.on_batch(0, Batch::new(partial_columns(&rows)), &mut out).unwrap();
    let batch = out.take_batches().remove(0);
    let answers = batch.column(6).as_struct();
    let valid: Vec<bool> = (0..6).map(|row| answers.is_valid(row)).collect();
    assert_eq!(valid, [true, true, false, true, false, true]);
    let nowcasts = answers.column(0).as_primitive::<Float64Type>();
    assert_eq!((nowcasts.value(0), nowcasts.value(3)), (8.0, 9.0));
    assert!(nowcasts.is_null(5));
    let wrong = [("br", 0, 5, Some(1.0))];
    operator.on_batch(0, Batch::new(partial_columns(&wrong)), &mut out).unwrap();
    let error = operator.on_time(Time::Event(i64::MAX), &mut out).unwrap_err();
    assert!(error.to_string().contains("a window of 4500000 ms"), "{error}");
}

#[test]
fn options_that_cannot_be_are_refused_by_name() {
    let forecast = |options: Value| Over::new(forecast_spec(options)).map(drop);
    let nowcast = |options: Value| Over::new(nowcast_spec(&[], options)).map(drop);
    let cases: [(Result<()>, &str); 7] = [
        (forecast(json!({"horizon": 0})), "ML_FORECAST: option \"horizon\" must be between"),
        (forecast(json!({"sesaon": 7})), "ML_FORECAST: forecast option \"sesaon\" is unknown"),
        (forecast(json!("ets")), "ML_FORECAST: options must be a JSON object"),
        (forecast(json!({"period": "1h"})), "ML_FORECAST: option \"period\" must be a number"),
        (nowcast(json!({"period": 3600})), "ML_NOWCAST: option \"step\" is needed"),
        (nowcast(json!({"period": 3600, "step": 1000})), "integral multiple of step 1000000 ms"),
        (nowcast(json!({"period": 3600, "step": 1, "x": 1})), "3600 steps a period are more than"),
    ];
    for (made, reason) in cases {
        let error = made.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
