//! A second aggregation over windowed rows, as after a window aggregate.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use common::*;
use nowcast_engine::{Operator, Output, Time};
use nowcast_transforms::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Time, title, plays.
type Row = (i64, &'static str, i64);

fn rows(count: usize) -> Vec<Row> {
    let mut rng = ChaCha8Rng::seed_from_u64(21);
    let mut clock = 0;
    (0..count)
        .map(|_| {
            clock += rng.random_range(0..6);
            let time = clock - rng.random_range(0..60);
            (time, ["a", "b", "c"][rng.random_range(0..3)], rng.random_range(0..9))
        })
        .collect()
}

const SIZE: i64 = 50;

fn columns(rows: &[Row]) -> RecordBatch {
    let start = |row: &Row| row.0.div_euclid(SIZE) * SIZE;
    let columns: Vec<ArrayRef> = vec![
        times(rows.iter().map(|row| Some(start(row))).collect()),
        times(rows.iter().map(|row| Some(start(row) + SIZE)).collect()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
    ];
    RecordBatch::try_new(input(), columns).unwrap()
}

fn input() -> arrow::datatypes::SchemaRef {
    schema(&[
        ("window_start", MS),
        ("window_end", MS),
        ("title", DataType::Utf8),
        ("plays", DataType::Int64),
    ])
}

fn spec() -> AttachedWindowAggregateSpec {
    let sum = AggregateCall {
        function: AggregateFunction::Sum,
        args: vec![3],
        distinct: false,
        filter: None,
        output: DataType::Int64,
    };
    AttachedWindowAggregateSpec {
        clock: WindowClock::EVENT_TIME,
        window_start: 0,
        window_end: 1,
        keys: vec![2],
        aggregates: vec![sum],
        input_schema: input(),
        schema: schema(&[
            ("title", DataType::Utf8),
            ("plays", DataType::Int64),
            ("window_start", MS),
            ("window_end", MS),
            ("window_time", MS),
        ]),
    }
}

fn feed(rows: &[Row]) -> Feed {
    let times: Vec<Option<i64>> = rows.iter().map(|row| Some(row.0)).collect();
    Feed::new(columns(rows), &times, 20)
}

#[test]
fn every_window_and_every_late_row_as_by_hand() {
    let rows = rows(800);
    let mut sums: BTreeMap<(i64, &str), i64> = BTreeMap::new();
    let mut expected = Seen::default();
    let mut watermark = i64::MIN;
    for row in &rows {
        let start = row.0.div_euclid(SIZE) * SIZE;
        let last = start + SIZE - 1;
        match last <= watermark {
            true => {
                let text = text(&columns(&[*row])).remove(0);
                expected.late.push(format!("{text} at {last} after {watermark}"));
            }
            false => *sums.entry((start, row.1)).or_default() += row.2,
        }
        watermark = watermark.max(row.0 - 20);
    }
    assert!(!expected.late.is_empty());
    for ((start, title), sum) in sums {
        let (end, last) = (start + SIZE, start + SIZE - 1);
        expected.rows.push(format!("{title}|{sum}|{start}|{end}|{last}"));
    }
    let expected = expected.sorted();
    let feed = feed(&rows);
    let make = || AttachedWindowAggregate::new(spec()).unwrap();
    for size in SIZES {
        assert_eq!(whole(&mut make(), &feed, size).sorted(), expected, "{size}");
    }
    for half in [1, 400] {
        assert_eq!(resumed(make, &feed, half).sorted(), expected, "{half}");
    }
    assert_eq!(split(make, &feed, 400, by_key(vec![2])).sorted(), expected);
}

#[test]
fn windows_of_one_end_and_other_starts_stay_apart() {
    let columns: Vec<ArrayRef> = vec![
        times(vec![Some(0), Some(50), None]),
        times(vec![Some(100), Some(100), Some(100)]),
        Arc::new(StringArray::from(vec!["a"; 3])),
        Arc::new(Int64Array::from(vec![1, 2, 4])),
    ];
    let rows = RecordBatch::try_new(input(), columns).unwrap();
    let mut operator = AttachedWindowAggregate::new(spec()).unwrap();
    let mut out = Output::default();
    operator.on_batch(0, nowcast_engine::Batch::new(rows), &mut out).unwrap();
    operator.on_time(Time::Event(98), &mut out).unwrap();
    assert!(out.take_batches().is_empty());
    operator.on_time(Time::Event(99), &mut out).unwrap();
    let seen = Seen::take(&mut out);
    assert_eq!(seen.rows, ["a|1|0|100|99", "a|2|50|100|99"]);
    assert_eq!(seen.rejected, ["event time `window_start` is null"]);
}
