//! MATCH_RECOGNIZE against a search by hand, and what it keeps.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use common::*;
use nowcast_engine::{Error, Evaluate, Operator, Output, Result, Time};
use nowcast_transforms::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[derive(Debug, Clone)]
struct Row {
    time: i64,
    key: &'static str,
    value: i64,
}

fn rows(seed: u64, count: usize, disorder: i64) -> Vec<Row> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut clock = 0;
    (0..count)
        .map(|_| {
            clock += rng.random_range(0..4);
            Row {
                time: clock - rng.random_range(0..=disorder),
                key: ["a", "b", "c"][rng.random_range(0..3)],
                value: rng.random_range(0..10),
            }
        })
        .collect()
}

fn input_schema() -> arrow::datatypes::SchemaRef {
    schema(&[("ts", MS), ("key", DataType::Utf8), ("value", DataType::Int64)])
}

fn feed(rows: &[Row], delay: i64) -> Feed {
    let columns: Vec<ArrayRef> = vec![
        times(rows.iter().map(|row| Some(row.time)).collect()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.key))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.value))),
    ];
    let times: Vec<Option<i64>> = rows.iter().map(|row| Some(row.time)).collect();
    Feed::new(RecordBatch::try_new(input_schema(), columns).unwrap(), &times, delay)
}

/// Whether what a function makes of the numbers of a row is true; nulls are `None`.
struct Holds(fn(&[Option<i64>]) -> Result<bool>);

impl Evaluate for Holds {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let value = |column: &ArrayRef, row| {
            let column = column.as_primitive::<Int64Type>();
            column.is_valid(row).then(|| column.value(row))
        };
        let row = |row| {
            let values: Vec<_> = rows.columns().iter().map(|column| value(column, row)).collect();
            (self.0)(&values)
        };
        let held = (0..rows.num_rows()).map(row).collect::<Result<Vec<bool>>>()?;
        Ok(Arc::new(BooleanArray::from(held)))
    }
}

fn last(variable: usize, offset: u32) -> Reference {
    Reference::Row { variable: Some(variable), end: End::Last, offset, column: 2 }
}

fn condition(
    references: Vec<Reference>,
    holds: fn(&[Option<i64>]) -> Result<bool>,
) -> Option<Condition> {
    let own = [("own", DataType::Int64)];
    let names = ["first", "second"];
    let read = names[..references.len()].iter().map(|name| (*name, DataType::Int64));
    let fields: Vec<_> = own.into_iter().chain(read).collect();
    let schema = schema(&fields);
    Some(Condition { columns: vec![2], references, schema, condition: Arc::new(Holds(holds)) })
}

/// `PATTERN (A+ B)`: A rises, B is lower than the last A.
fn spec(skip: Skip, within_ms: Option<i64>) -> MatchRecognizeSpec {
    let many = Quantifier { least: 1, most: None, greedy: true };
    let sum = AggregateCall {
        function: AggregateFunction::Sum,
        args: vec![2],
        distinct: false,
        filter: None,
        output: DataType::Int64,
    };
    MatchRecognizeSpec {
        clock: MatchClock::EventTime,
        time: 0,
        order: vec![SortKey { column: 2, descending: false, nulls_first: true }],
        partition: vec![1],
        quantifiers: vec![many, Quantifier::ONCE],
        conditions: vec![
            condition(vec![last(0, 1)], |read| {
                Ok(read[1].is_none_or(|before| read[0] > Some(before)))
            }),
            condition(vec![last(0, 0)], |read| Ok(read[0] < read[1])),
        ],
        within_ms,
        skip,
        measures: vec![
            Reference::Row { variable: None, end: End::First, offset: 0, column: 1 },
            Reference::Row { variable: None, end: End::First, offset: 0, column: 0 },
            Reference::Aggregate { variable: Some(0), call: sum },
            last(1, 0),
            Reference::Time,
        ],
        input_schema: input_schema(),
        schema: schema(&[
            ("key", DataType::Utf8),
            ("first", MS),
            ("sum", DataType::Int64),
            ("low", DataType::Int64),
            ("time", MS),
        ]),
    }
}

/// The same pattern, with the last A read as the greatest of all: it rises.
fn with_aggregates(skip: Skip, within_ms: Option<i64>) -> MatchRecognizeSpec {
    let of_a = |function, args: Vec<usize>| Reference::Aggregate {
        variable: Some(0),
        call: AggregateCall {
            function,
            args,
            distinct: false,
            filter: None,
            output: DataType::Int64,
        },
    };
    let count = of_a(AggregateFunction::Count, vec![]);
    let most = of_a(AggregateFunction::Max, vec![2]);
    let mut spec = spec(skip, within_ms);
    spec.conditions = vec![
        condition(vec![last(0, 1), count], |read| Ok(read[2] == Some(1) || read[0] > read[1])),
        condition(vec![most], |read| Ok(read[0] < read[1])),
    ];
    spec
}

/// The matches of rises and a fall after them, searched for row by row.
fn by_hand(rows: &[Row], skip: Skip, within_ms: Option<i64>) -> Vec<String> {
    let mut found = vec![];
    for key in ["a", "b", "c"] {
        let mut own: Vec<&Row> = rows.iter().filter(|row| row.key == key).collect();
        own.sort_by_key(|row| (row.time, row.value));
        let mut first = 0;
        while first < own.len() {
            let mut end = first + 1;
            while end < own.len() && own[end].value > own[end - 1].value {
                end += 1;
            }
            // The row that falls ends the match, if it is in time.
            let falls = own.get(end).filter(|row| row.value < own[end - 1].value);
            let in_time = |row: &&&Row| within_ms.is_none_or(|ms| row.time - own[first].time < ms);
            let Some(low) = falls.filter(in_time) else {
                first += 1;
                continue;
            };
            let sum: i64 = own[first..end].iter().map(|row| row.value).sum();
            found.push(format!("{key}|{}|{sum}|{}|{}", own[first].time, low.value, low.time));
            first = match skip {
                Skip::PastLastRow => end + 1,
                Skip::ToLast(1) => end,
                _ => first + 1,
            };
        }
    }
    found.sort();
    found
}

#[test]
fn matches_are_those_of_a_search_by_hand() {
    for skip in [Skip::PastLastRow, Skip::ToNextRow, Skip::ToLast(1)] {
        for within_ms in [None, Some(9), Some(1)] {
            let rows = rows(1, 900, 10);
            let feed = feed(&rows, 11);
            let expected = by_hand(&rows, skip, within_ms);
            assert!(within_ms == Some(1) || expected.len() > 50, "{}", expected.len());
            for size in SIZES {
                for spec in [spec(skip, within_ms), with_aggregates(skip, within_ms)] {
                    let mut operator = MatchRecognize::new(spec).unwrap();
                    let seen = whole(&mut operator, &feed, size);
                    assert!(seen.late.is_empty() && seen.rejected.is_empty());
                    assert_eq!(seen.sorted().rows, expected, "{skip:?} {within_ms:?} {size}");
                }
            }
        }
    }
}

#[test]
fn matches_come_in_the_order_of_their_times_whatever_the_batches() {
    let rows = rows(2, 600, 6);
    let feed = feed(&rows, 7);
    let run = |size| {
        let mut operator = MatchRecognize::new(spec(Skip::PastLastRow, Some(12))).unwrap();
        whole(&mut operator, &feed, size).rows
    };
    let times: Vec<i64> =
        run(7).iter().map(|row| row.rsplit('|').next().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted());
    assert_eq!(run(1), run(1024));
}

#[test]
fn state_survives_and_follows_its_keys() {
    for (seed, within_ms) in [(3, None), (4, Some(15))] {
        let rows = rows(seed, 500, 8);
        let feed = feed(&rows, 9);
        for spec in [spec(Skip::ToNextRow, within_ms), with_aggregates(Skip::ToNextRow, within_ms)]
        {
            let make = || MatchRecognize::new(spec.clone()).unwrap();
            let expected = whole(&mut make(), &feed, 7).sorted();
            for half in [1, 77, 250, 499] {
                assert_eq!(resumed(make, &feed, half).sorted(), expected, "{half}");
                assert_eq!(split(make, &feed, half, by_key(vec![1])).sorted(), expected, "{half}");
            }
        }
    }
}

#[test]
fn late_rows_are_set_aside() {
    let rows = rows(5, 300, 12);
    let feed = feed(&rows, 5);
    let run = |size| {
        let mut operator = MatchRecognize::new(spec(Skip::PastLastRow, None)).unwrap();
        whole(&mut operator, &feed, size).sorted()
    };
    assert!(!run(1).late.is_empty());
    assert_eq!(run(1), run(7));
    assert_eq!(run(1), run(1024));
}

#[test]
fn a_row_without_an_answer_is_rejected_alone() {
    let mut spec = spec(Skip::PastLastRow, None);
    spec.conditions[1] = condition(vec![last(0, 0)], |read| match read[0] {
        Some(3) => Err(Error::data("three")),
        own => Ok(own < read[1]),
    });
    let row = |time, value| Row { time, key: "a", value };
    let feed = feed(&[row(1, 5), row(2, 3), row(3, 7), row(4, 2)], 0);
    for size in SIZES {
        let mut operator = MatchRecognize::new(spec.clone()).unwrap();
        let seen = whole(&mut operator, &feed, size);
        assert_eq!(seen.rows, ["a|1|12|2|4"]);
        assert_eq!(seen.rejected, ["three"]);
    }
}

#[test]
fn in_processing_time_rows_are_matched_as_they_come() {
    let row = |time, value| Row { time, key: "a", value };
    let feed = feed(&[row(1, 5), row(2, 7), row(3, 6), row(9, 1), row(30, 0)], 0);
    let mut spec = spec(Skip::PastLastRow, Some(20));
    (spec.clock, spec.order) = (MatchClock::ProcessingTime, vec![]);
    for size in SIZES {
        let mut operator = MatchRecognize::new(spec.clone()).unwrap();
        let mut out = Output::default();
        for first in (0..feed.len()).step_by(size) {
            let length = size.min(feed.len() - first);
            operator.on_batch(0, feed.batch(first, length), &mut out).unwrap();
        }
        assert_eq!(Seen::take(&mut out).rows, ["a|1|12|6|3"]);
    }
}

#[test]
fn nothing_is_kept_when_no_match_is_under_way() {
    let row = |time, value| Row { time, key: "a", value };
    let feed = feed(&[row(1, 5), row(2, 3), row(3, 7)], 0);
    let mut operator = MatchRecognize::new(spec(Skip::PastLastRow, Some(10))).unwrap();
    let mut out = Output::default();
    feed.run(&mut operator, 0..2, 1, &mut out);
    assert_eq!(operator.save(0).unwrap().len(), 0);
    feed.run(&mut operator, 2..3, 1, &mut out);
    assert_eq!(operator.save(0).unwrap().len(), 3);
    operator.on_time(Time::Event(12), &mut out).unwrap();
    assert_eq!(operator.save(0).unwrap().len(), 3);
    operator.on_time(Time::Event(13), &mut out).unwrap();
    assert_eq!(operator.save(0).unwrap().len(), 0);
}

#[test]
fn of_runs_that_can_only_end_alike_the_earliest_is_kept() {
    let rows: Vec<Row> = (0..500).map(|time| Row { time, key: "a", value: 5 }).collect();
    let feed = feed(&rows, 0);
    let mut spec = spec(Skip::PastLastRow, None);
    spec.conditions[0] = condition(vec![], |read| Ok(read[0] > Some(0)));
    spec.conditions[1] = condition(vec![], |read| Ok(read[0] == Some(0)));
    let kept = |spec: &MatchRecognizeSpec| {
        let mut operator = MatchRecognize::new(spec.clone()).unwrap();
        feed.run(&mut operator, 0..500, 50, &mut Output::default());
        let tables = operator.save(0).unwrap();
        tables.iter().find(|table| table.name == "runs").unwrap().rows.num_rows()
    };
    assert_eq!(kept(&spec), 2);
    spec.within_ms = Some(10_000);
    assert_eq!(kept(&spec), 501);
}

#[test]
fn a_skip_to_where_the_match_began_is_refused() {
    let feed = feed(&[Row { time: 1, key: "a", value: 2 }, Row { time: 2, key: "a", value: 1 }], 0);
    let mut operator = MatchRecognize::new(spec(Skip::ToFirst(0), None)).unwrap();
    let mut out = Output::default();
    operator.on_batch(0, feed.batch(0, 2), &mut out).unwrap();
    let error = operator.on_time(Time::Event(9), &mut out).unwrap_err();
    assert!(error.to_string().contains("first row of a match"), "{error}");
}
