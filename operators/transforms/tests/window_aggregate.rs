//! Window aggregates against plain loops over rows and windows.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use common::*;
use nowcast_engine::{Batch, Operator, Output, Time};
use nowcast_transforms::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[derive(Debug, Clone)]
struct Row {
    time: Option<i64>,
    key: Option<&'static str>,
    value: Option<i64>,
    flag: Option<bool>,
}

/// Rows out of order by up to `disorder` ms around a clock that begins before the epoch.
fn rows(seed: u64, count: usize, disorder: i64) -> Vec<Row> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut clock = -3_000;
    (0..count)
        .map(|_| {
            clock += rng.random_range(0..30);
            Row {
                time: rng.random_bool(0.98).then(|| clock - rng.random_range(0..=disorder)),
                key: [Some("a"), Some("b"), Some("c"), Some(""), None][rng.random_range(0..5)],
                value: rng.random_bool(0.9).then(|| rng.random_range(-50..50)),
                flag: [Some(true), Some(false), None][rng.random_range(0..3)],
            }
        })
        .collect()
}

fn columns(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        times(rows.iter().map(|row| row.time).collect()),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.key))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.value))),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| row.flag))),
    ];
    RecordBatch::try_new(input_schema(), columns).unwrap()
}

fn input_schema() -> arrow::datatypes::SchemaRef {
    schema(&[
        ("ts", MS),
        ("key", DataType::Utf8),
        ("value", DataType::Int64),
        ("flag", DataType::Boolean),
    ])
}

fn feed(rows: &[Row], delay: i64) -> Feed {
    let times: Vec<Option<i64>> = rows.iter().map(|row| row.time).collect();
    Feed::new(columns(rows), &times, delay)
}

fn call(function: AggregateFunction, args: &[usize], output: DataType) -> AggregateCall {
    AggregateCall { function, args: args.to_vec(), distinct: false, filter: None, output }
}

/// COUNT(*), SUM, MIN, AVG, COUNT(DISTINCT), COUNT(*) FILTER by key.
fn spec(kind: WindowKind, offset_ms: i64, keys: &[usize]) -> WindowAggregateSpec {
    use AggregateFunction::{Avg, Count, Min, Sum};
    let big = DataType::Int64;
    let aggregates = vec![
        call(Count, &[], big.clone()),
        call(Sum, &[2], big.clone()),
        call(Min, &[2], big.clone()),
        call(Avg, &[2], DataType::Float64),
        AggregateCall { distinct: true, ..call(Count, &[2], big.clone()) },
        AggregateCall { filter: Some(3), ..call(Count, &[], big.clone()) },
    ];
    let mut fields = vec![];
    if !keys.is_empty() {
        fields.push(("key", DataType::Utf8));
    }
    fields.extend([("n", big.clone()), ("sum", big.clone()), ("min", big.clone())]);
    fields.extend([("avg", DataType::Float64), ("distinct", big.clone()), ("flags", big)]);
    fields.extend([("window_start", MS), ("window_end", MS), ("window_time", MS)]);
    WindowAggregateSpec {
        window: Window { kind, offset_ms },
        clock: WindowClock::EVENT_TIME,
        time: 0,
        keys: keys.to_vec(),
        aggregates,
        input_schema: input_schema(),
        schema: schema(&fields),
    }
}

/// Windows of a time by trying every start: nothing of the operator's arithmetic.
fn windows(kind: WindowKind, offset: i64, time: i64) -> Vec<(i64, i64)> {
    let (longest, cut) = match kind {
        WindowKind::Tumble { size_ms } => (size_ms, size_ms),
        WindowKind::Hop { size_ms, slide_ms } => (size_ms, slide_ms),
        WindowKind::Cumulate { max_ms, .. } => (max_ms, max_ms),
    };
    let starts = (time - longest..=time).filter(|start| (start - offset) % cut == 0);
    let spans = starts.flat_map(|start| match kind {
        WindowKind::Tumble { size_ms } => vec![(start, start + size_ms)],
        WindowKind::Hop { size_ms, .. } => vec![(start, start + size_ms)],
        WindowKind::Cumulate { max_ms, step_ms } => {
            (1..=max_ms / step_ms).map(|step| (start, start + step * step_ms)).collect()
        }
    });
    spans.filter(|(start, end)| *start <= time && time < *end).collect()
}

fn brute_force(rows: &[Row], spec: &WindowAggregateSpec, delay: i64) -> Seen {
    type Group<'a> = (i64, i64, Option<&'a str>);
    let mut members: BTreeMap<Group<'_>, Vec<&Row>> = BTreeMap::new();
    let mut seen = Seen::default();
    let mut watermark = i64::MIN;
    for (nth, row) in rows.iter().enumerate() {
        let Some(time) = row.time else {
            seen.rejected.push("event time `ts` is null".into());
            continue;
        };
        let all = windows(spec.window.kind, spec.window.offset_ms, time);
        let open: Vec<_> = all.iter().filter(|(_, end)| end - 1 > watermark).collect();
        if open.is_empty() && !all.is_empty() {
            let text = text(&columns(&rows[nth..=nth])).remove(0);
            seen.late.push(format!("{text} at {time} after {watermark}"));
        }
        for (start, end) in open {
            let key = if spec.keys.is_empty() { None } else { row.key };
            members.entry((*end, *start, key)).or_default().push(row);
        }
        watermark = watermark.max(time - delay);
    }
    for ((end, start, key), rows) in members {
        let values: Vec<i64> = rows.iter().filter_map(|row| row.value).collect();
        let show = |value: Option<String>| value.unwrap_or("null".into());
        let sum: i64 = values.iter().sum();
        let present = !values.is_empty();
        let average = Float64Array::from(vec![sum as f64 / values.len() as f64]);
        let average = RecordBatch::try_from_iter([("", Arc::new(average) as ArrayRef)]).unwrap();
        let mut line = vec![
            rows.len().to_string(),
            show(present.then(|| sum.to_string())),
            show(values.iter().min().map(i64::to_string)),
            show(present.then(|| text(&average).remove(0))),
            values.iter().collect::<BTreeSet<_>>().len().to_string(),
            rows.iter().filter(|row| row.flag == Some(true)).count().to_string(),
            start.to_string(),
            end.to_string(),
            (end - 1).to_string(),
        ];
        if !spec.keys.is_empty() {
            line.insert(0, show(key.map(str::to_owned)));
        }
        seen.rows.push(line.join("|"));
    }
    seen.sorted()
}

const KINDS: [(WindowKind, i64); 11] = [
    (WindowKind::Tumble { size_ms: 500 }, 0),
    (WindowKind::Tumble { size_ms: 700 }, -130),
    (WindowKind::Hop { size_ms: 600, slide_ms: 200 }, 0),
    (WindowKind::Hop { size_ms: 600, slide_ms: 200 }, 70),
    (WindowKind::Hop { size_ms: 300, slide_ms: 300 }, 0),
    (WindowKind::Hop { size_ms: 500, slide_ms: 200 }, 0),
    (WindowKind::Hop { size_ms: 200, slide_ms: 500 }, 30),
    (WindowKind::Hop { size_ms: 2_000, slide_ms: 50 }, 0),
    (WindowKind::Hop { size_ms: 1_030, slide_ms: 40 }, 15),
    (WindowKind::Cumulate { max_ms: 1000, step_ms: 250 }, 0),
    (WindowKind::Cumulate { max_ms: 1000, step_ms: 200 }, -90),
];

#[test]
fn every_window_and_every_late_row_as_by_hand() {
    for (kind, offset) in KINDS {
        for (disorder, delay) in [(0, 0), (150, 200), (400, 100), (2_000, 0)] {
            for keys in [vec![1], vec![]] {
                let rows = rows(7, 250, disorder);
                let spec = spec(kind, offset, &keys);
                let expected = brute_force(&rows, &spec, delay);
                let feed = feed(&rows, delay);
                let mut orders = vec![];
                for size in SIZES {
                    let mut operator = WindowAggregate::new(spec.clone()).unwrap();
                    let seen = whole(&mut operator, &feed, size);
                    orders.push(seen.rows.clone());
                    assert_eq!(seen.sorted(), expected, "{kind:?} {disorder} {delay} {size}");
                    assert!(operator.save(0).unwrap().is_empty(), "state is left over");
                }
                assert!(orders.windows(2).all(|pair| pair[0] == pair[1]), "{kind:?} order");
            }
        }
    }
}

#[test]
fn rows_come_by_window_and_then_by_first_arrival() {
    let rows: Vec<Row> = [(5, "b"), (1, "a"), (12, "a"), (7, "b"), (13, "c")]
        .map(|(time, key)| Row { time: Some(time), key: Some(key), value: None, flag: None })
        .into();
    let spec = spec(WindowKind::Tumble { size_ms: 10 }, 0, &[1]);
    let seen = whole(&mut WindowAggregate::new(spec).unwrap(), &feed(&rows, 100), 2);
    let keys: Vec<&str> = seen.rows.iter().map(|row| &row[..1]).collect();
    assert_eq!(keys, ["b", "a", "a", "c"]);
}

#[test]
fn a_restored_operator_goes_on_as_if_nothing_had_happened() {
    for (kind, offset) in KINDS {
        for keys in [vec![1], vec![]] {
            let rows = rows(11, 250, 400);
            let spec = spec(kind, offset, &keys);
            let feed = feed(&rows, 100);
            let make = || WindowAggregate::new(spec.clone()).unwrap();
            let undisturbed = whole(&mut make(), &feed, 7).sorted();
            for half in [0, 1, 133, 249] {
                assert_eq!(resumed(make, &feed, half).sorted(), undisturbed, "{kind:?} {half}");
            }
            if !keys.is_empty() {
                let mut halves = split(make, &feed, 125, by_key(keys)).sorted();
                halves.rejected = undisturbed.rejected.clone();
                assert_eq!(halves, undisturbed, "{kind:?} on two workers");
            }
        }
    }
}

#[test]
fn a_cumulating_window_fires_again_without_new_rows() {
    let row = Row { time: Some(10), key: Some("a"), value: Some(1), flag: None };
    let spec = spec(WindowKind::Cumulate { max_ms: 300, step_ms: 100 }, 0, &[1]);
    let mut operator = WindowAggregate::new(spec).unwrap();
    let mut out = Output::default();
    operator.on_batch(0, Batch::new(columns(&[row])), &mut out).unwrap();
    let mut fired = vec![];
    for watermark in [98, 99, 150, 198, 199, 299, 1_000] {
        operator.on_time(Time::Event(watermark), &mut out).unwrap();
        let rows = Seen::take(&mut out).rows;
        fired.push(rows.iter().map(|row| row.rsplit('|').nth(1).unwrap()).collect::<String>());
    }
    assert_eq!(fired, ["", "100", "", "", "200", "300", ""]);
}

#[test]
fn by_the_wall_clock_a_window_fires_at_a_tick_and_no_row_is_late() {
    let row = |time| Row { time: Some(time), key: Some("a"), value: Some(1), flag: None };
    let wall = WindowClock::new(Clock::Wall, chrono_tz::Tz::UTC);
    let tumble = WindowKind::Tumble { size_ms: 100 };
    let spec = WindowAggregateSpec { clock: wall, ..spec(tumble, 0, &[1]) };
    let mut operator = WindowAggregate::new(spec.clone()).unwrap();
    let mut out = Output::default();
    operator.on_time(Time::Processing(5), &mut out).unwrap();
    operator.on_batch(0, Batch::new(columns(&[row(10), row(20)])), &mut out).unwrap();
    operator.on_time(Time::Processing(98), &mut out).unwrap();
    // The end of input is an event time: what waits for the clock stays.
    operator.on_time(Time::Event(i64::MAX), &mut out).unwrap();
    assert_eq!(Seen::take(&mut out), Seen::default());

    let mut restored = WindowAggregate::new(spec).unwrap();
    restored.load(operator.save(0).unwrap()).unwrap();
    restored.on_time(Time::Processing(150), &mut out).unwrap();
    // It was read before the tick and counts when it arrives.
    restored.on_batch(0, Batch::new(columns(&[row(90)])), &mut out).unwrap();
    restored.on_time(Time::Processing(199), &mut out).unwrap();
    let seen = Seen::take(&mut out);
    assert_eq!((seen.late, seen.rejected), (vec![], vec![]));
    let counts: Vec<_> = seen.rows.iter().map(|row| row.split('|').nth(1).unwrap()).collect();
    assert_eq!(counts, ["2", "1"]);
    assert!(restored.save(0).unwrap().is_empty());
}

#[test]
fn windows_flink_refuses_are_refused() {
    for (kind, reason) in [
        (WindowKind::Cumulate { max_ms: 500, step_ms: 300 }, "integral multiple of step 300 ms"),
        (WindowKind::Tumble { size_ms: 0 }, "must be positive"),
    ] {
        let error = WindowAggregate::new(spec(kind, 0, &[1])).err().unwrap().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn state_of_another_query_is_refused() {
    let tumble = WindowKind::Tumble { size_ms: 500 };
    let mut operator = WindowAggregate::new(spec(tumble, 0, &[1])).unwrap();
    let mut out = Output::default();
    operator.on_batch(0, Batch::new(columns(&rows(1, 10, 0))), &mut out).unwrap();
    let saved = operator.save(0).unwrap();
    let error = WindowAggregate::new(spec(tumble, 0, &[])).unwrap().load(saved).unwrap_err();
    assert!(error.to_string().contains("has changed"), "{error}");
}

#[test]
fn batches_put_out_are_bounded() {
    let count = 20_000;
    let keys = StringArray::from_iter_values((0..count).map(|nth| format!("key {nth}")));
    let rows = RecordBatch::try_new(
        input_schema(),
        vec![
            times(vec![Some(1); count]),
            Arc::new(keys),
            Arc::new(Int64Array::from(vec![1; count])),
            Arc::new(BooleanArray::from(vec![true; count])),
        ],
    );
    let mut operator =
        WindowAggregate::new(spec(WindowKind::Tumble { size_ms: 10 }, 0, &[1])).unwrap();
    let mut out = Output::default();
    operator.on_batch(0, Batch::new(rows.unwrap()), &mut out).unwrap();
    operator.on_time(Time::Event(9), &mut out).unwrap();
    let sizes: Vec<usize> = out.take_batches().iter().map(Batch::num_rows).collect();
    assert_eq!(sizes, [8192, 8192, 3616]);
}
