//! Sessions as accumulators, against sessions by hand.

#![allow(clippy::unwrap_used)] // a test that cannot go on should say where

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use common::*;
use nowcast_engine::{Batch, Operator, Output, StateTable, Time};
use nowcast_transforms::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const GAP_MS: i64 = 20;

#[derive(Debug, Clone)]
struct Row {
    time: i64,
    key: &'static str,
    value: i64,
}

/// Rows out of order by up to `disorder` ms around a clock that begins before the epoch.
fn rows(seed: u64, count: usize, disorder: i64) -> Vec<Row> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut clock = -500;
    (0..count)
        .map(|_| {
            clock += rng.random_range(0..12);
            Row {
                time: clock - rng.random_range(0..=disorder),
                key: ["a", "b", "c"][rng.random_range(0..3)],
                value: rng.random_range(-9..10),
            }
        })
        .collect()
}

fn columns(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        times(rows.iter().map(|row| Some(row.time)).collect()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.key))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.value))),
    ];
    RecordBatch::try_new(input_schema(), columns).unwrap()
}

fn input_schema() -> arrow::datatypes::SchemaRef {
    schema(&[("ts", MS), ("key", DataType::Utf8), ("value", DataType::Int64)])
}

/// COUNT(*), SUM, MAX, FIRST_VALUE, LAST_VALUE and COUNT(DISTINCT) by key.
fn spec(clock: WindowClock) -> SessionAggregateSpec {
    use AggregateFunction::{Count, FirstValue, LastValue, Max, Sum};
    let call = |function, args: &[usize]| AggregateCall {
        function,
        args: args.to_vec(),
        distinct: false,
        filter: None,
        output: DataType::Int64,
    };
    let mut fields = vec![("key", DataType::Utf8)];
    let names = ["n", "sum", "max", "first", "last", "distinct"];
    fields.extend(names.map(|name| (name, DataType::Int64)));
    fields.extend([("window_start", MS), ("window_end", MS), ("window_time", MS)]);
    SessionAggregateSpec {
        gap_ms: GAP_MS,
        clock,
        time: 0,
        keys: vec![1],
        aggregates: vec![
            call(Count, &[]),
            call(Sum, &[2]),
            call(Max, &[2]),
            call(FirstValue, &[2]),
            call(LastValue, &[2]),
            AggregateCall { distinct: true, ..call(Count, &[2]) },
        ],
        input_schema: input_schema(),
        schema: schema(&fields),
    }
}

fn make() -> SessionAggregate {
    SessionAggregate::new(spec(WindowClock::EVENT_TIME)).unwrap()
}

fn feed(rows: &[Row], delay: i64) -> Feed {
    let times: Vec<Option<i64>> = rows.iter().map(|row| Some(row.time)).collect();
    Feed::new(columns(rows), &times, delay)
}

/// Sessions as lists of rows: one that is joined to an earlier one comes after it.
fn by_hand(rows: &[Row], delay: i64) -> Seen {
    type Sessions = BTreeMap<(i64, i64), Vec<Row>>;
    let mut sessions: BTreeMap<&str, Sessions> = BTreeMap::new();
    let mut seen = Seen::default();
    let mut watermark = i64::MIN;
    for row in rows {
        let own = sessions.entry(row.key).or_default();
        let (mut start, mut end) = (row.time, row.time + GAP_MS);
        let touched: Vec<(i64, i64)> = own
            .keys()
            .copied()
            .filter(|(from, to)| to - 1 > watermark && *from <= end && *to >= start)
            .collect();
        for (from, to) in &touched {
            (start, end) = (start.min(*from), end.max(*to));
        }
        if end - 1 <= watermark {
            let text = text(&columns(std::slice::from_ref(row))).remove(0);
            seen.late.push(format!("{text} at {} after {watermark}", row.time));
        } else {
            let mut members: Vec<Row> =
                touched.iter().flat_map(|session| own.remove(session).unwrap()).collect();
            members.push(row.clone());
            own.insert((start, end), members);
        }
        watermark = watermark.max(row.time - delay);
    }
    for (key, own) in sessions {
        for ((start, end), members) in own {
            let values: Vec<i64> = members.iter().map(|row| row.value).collect();
            let distinct: std::collections::BTreeSet<i64> = values.iter().copied().collect();
            seen.rows.push(format!(
                "{key}|{}|{}|{}|{}|{}|{}|{start}|{end}|{}",
                values.len(),
                values.iter().sum::<i64>(),
                values.iter().max().unwrap(),
                values[0],
                values[values.len() - 1],
                distinct.len(),
                end - 1
            ));
        }
    }
    seen.sorted()
}

#[test]
fn every_session_and_every_late_row_as_by_hand() {
    for seed in 0..20 {
        for (disorder, delay) in [(0, 0), (15, 20), (60, 30), (200, 0)] {
            let rows = rows(seed, 300, disorder);
            let (expected, feed) = (by_hand(&rows, delay), feed(&rows, delay));
            for size in SIZES {
                let mut operator = make();
                let seen = whole(&mut operator, &feed, size).sorted();
                assert_eq!(seen, expected, "{seed} {disorder} {delay} {size}");
                assert!(operator.save(0).unwrap().is_empty(), "state is left over");
            }
        }
    }
}

#[test]
fn a_restored_operator_goes_on_as_if_nothing_had_happened() {
    let feed = feed(&rows(11, 250, 60), 30);
    let undisturbed = whole(&mut make(), &feed, 7).sorted();
    for half in [0, 1, 133, 249] {
        assert_eq!(resumed(make, &feed, half).sorted(), undisturbed, "{half}");
    }
    assert_eq!(split(make, &feed, 125, by_key(vec![1])).sorted(), undisturbed);
}

#[test]
fn by_the_wall_clock_a_session_ends_when_nothing_comes() {
    let wall = WindowClock::new(Clock::Wall, chrono_tz::Tz::UTC);
    let mut operator = SessionAggregate::new(spec(wall)).unwrap();
    let mut out = Output::default();
    let row = |time| Row { time, key: "a", value: 1 };
    operator.on_time(Time::Processing(99), &mut out).unwrap();
    operator.on_batch(0, Batch::new(columns(&[row(100), row(110)])), &mut out).unwrap();
    operator.on_time(Time::Processing(128), &mut out).unwrap();
    operator.on_time(Time::Event(i64::MAX), &mut out).unwrap();
    assert_eq!(Seen::take(&mut out), Seen::default());
    operator.on_time(Time::Processing(129), &mut out).unwrap();
    // It was read before the tick: another session.
    operator.on_batch(0, Batch::new(columns(&[row(112)])), &mut out).unwrap();
    operator.on_time(Time::Processing(150), &mut out).unwrap();
    let expected = ["a|2|2|1|1|1|1|100|130|129", "a|1|1|1|1|1|1|130|150|149"];
    assert_eq!(Seen::take(&mut out).rows, expected);
}

fn bytes(tables: &[StateTable]) -> usize {
    tables.iter().map(|table| table.rows.get_array_memory_size()).sum()
}

#[test]
fn the_state_of_a_session_does_not_grow_with_its_rows() {
    let held = |count: i64| {
        let rows: Vec<Row> =
            (0..count).map(|nth| Row { time: nth, key: "a", value: nth % 5 }).collect();
        let mut operator = make();
        operator.on_batch(0, Batch::new(columns(&rows)), &mut Output::default()).unwrap();
        let as_rows = columns(&rows).get_array_memory_size();
        (bytes(&operator.save(0).unwrap()), as_rows)
    };
    let (few, _) = held(10);
    let (many, as_rows) = held(10_000);
    assert!(many <= few + 64, "{few} bytes of 10 rows, {many} of 10 000");
    assert!(many * 10 < as_rows, "{many} bytes of rows that take {as_rows}");
}
