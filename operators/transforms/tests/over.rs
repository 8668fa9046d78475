//! OVER against plain loops over sorted rows.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, SchemaRef};
use common::*;
use nowcast_engine::{Batch, Operator, Output};
use nowcast_transforms::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[derive(Debug, Clone, PartialEq)]
struct Row {
    time: i64,
    key: &'static str,
    value: Option<i64>,
    flag: Option<bool>,
}

fn rows(seed: u64, count: usize, disorder: i64) -> Vec<Row> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut clock = -200;
    (0..count)
        .map(|_| {
            clock += rng.random_range(0..4);
            Row {
                time: clock - rng.random_range(0..=disorder),
                key: ["a", "b", "c"][rng.random_range(0..3)],
                value: rng.random_bool(0.8).then(|| rng.random_range(-9..10)),
                flag: [Some(true), Some(false), None][rng.random_range(0..3)],
            }
        })
        .collect()
}

fn columns(rows: &[Row]) -> RecordBatch {
    let floats = rows.iter().map(|row| row.value.map(|value| value as f64 / 4.0));
    let columns: Vec<ArrayRef> = vec![
        times(rows.iter().map(|row| Some(row.time)).collect()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.key))),
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.value))),
        Arc::new(BooleanArray::from_iter(rows.iter().map(|row| row.flag))),
        Arc::new(Float64Array::from_iter(floats)),
    ];
    RecordBatch::try_new(input_schema(), columns).unwrap()
}

fn input_fields() -> Vec<(&'static str, DataType)> {
    vec![
        ("ts", MS),
        ("key", DataType::Utf8),
        ("value", DataType::Int64),
        ("flag", DataType::Boolean),
        ("float", DataType::Float64),
    ]
}

fn input_schema() -> SchemaRef {
    schema(&input_fields())
}

fn feed(rows: &[Row], delay: i64) -> Feed {
    let times: Vec<Option<i64>> = rows.iter().map(|row| Some(row.time)).collect();
    Feed::new(columns(rows), &times, delay)
}

const FRAMES: [Frame; 7] = [
    Frame::Rows { preceding: None },
    Frame::Rows { preceding: Some(0) },
    Frame::Rows { preceding: Some(3) },
    Frame::Range { preceding_ms: None },
    Frame::Range { preceding_ms: Some(0) },
    Frame::Range { preceding_ms: Some(12) },
    Frame::Range { preceding_ms: Some(1_000_000) },
];

/// COUNT(*), SUM(value) FILTER (flag), SUM(float), MIN, COUNT(DISTINCT), LAST_VALUE, LAG 2, LISTAGG of keys,
/// ARRAY_AGG.
fn spec(order: OverOrder, frame: Frame, partition: &[usize]) -> OverSpec {
    use AggregateFunction::{ArrayAgg, Count, LastValue, ListAgg, Min, Sum};
    let call = |function, args: &[usize], output| AggregateCall {
        function,
        args: args.to_vec(),
        distinct: false,
        filter: None,
        output,
    };
    let big = DataType::Int64;
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
    let functions = vec![
        OverFunction::Aggregate(call(Count, &[], big.clone())),
        OverFunction::Aggregate(AggregateCall { filter: Some(3), ..call(Sum, &[2], big.clone()) }),
        OverFunction::Aggregate(call(Sum, &[4], DataType::Float64)),
        OverFunction::Lag { arg: 2, offset: 2 },
        OverFunction::Aggregate(call(Min, &[2], big.clone())),
        OverFunction::Aggregate(AggregateCall { distinct: true, ..call(Count, &[2], big.clone()) }),
        OverFunction::Aggregate(call(LastValue, &[2], big.clone())),
        OverFunction::Aggregate(call(ListAgg { separator: ";".into() }, &[1], DataType::Utf8)),
        OverFunction::Aggregate(call(ArrayAgg, &[2], list.clone())),
    ];
    let mut fields = input_fields();
    fields.extend([("n", big.clone()), ("sum", big.clone()), ("floats", DataType::Float64)]);
    fields.extend([("lag", big.clone()), ("min", big.clone()), ("distinct", big.clone())]);
    fields.extend([("last", big), ("keys", DataType::Utf8), ("all", list)]);
    OverSpec {
        order,
        partition: partition.to_vec(),
        frame,
        functions,
        input_schema: input_schema(),
        schema: schema(&fields),
    }
}

/// Answers for rows in their final order.
fn brute_force(rows: &[Row], spec: &OverSpec) -> Vec<String> {
    let event_time = matches!(spec.order, OverOrder::EventTime(_));
    let mut lines = vec![];
    for (nth, row) in rows.iter().enumerate() {
        let same = |other: &Row| spec.partition.is_empty() || other.key == row.key;
        let before: Vec<&Row> = rows[..=nth].iter().filter(|other| same(other)).collect();
        let frame: Vec<&Row> = match spec.frame {
            Frame::Rows { preceding } => {
                let length = preceding.map_or(usize::MAX, |preceding| preceding as usize + 1);
                before[before.len().saturating_sub(length)..].to_vec()
            }
            Frame::Range { .. } if !event_time => before.clone(),
            Frame::Range { preceding_ms } => rows
                .iter()
                .filter(|other| same(other) && other.time <= row.time)
                .filter(|other| preceding_ms.is_none_or(|reach| other.time >= row.time - reach))
                .collect(),
        };
        let show = |value: Option<i64>| value.map_or("null".to_owned(), |value| value.to_string());
        let values: Vec<i64> = frame.iter().filter_map(|row| row.value).collect();
        let flagged: Vec<i64> =
            frame.iter().filter(|row| row.flag == Some(true)).filter_map(|row| row.value).collect();
        let float = (!values.is_empty()).then(|| values.iter().sum::<i64>() as f64 / 4.0);
        let float: ArrayRef = Arc::new(Float64Array::from(vec![float]));
        let float = text(&RecordBatch::try_from_iter([("", float)]).unwrap()).remove(0);
        let keys: Vec<&str> = frame.iter().map(|row| row.key).collect();
        let all: Vec<String> = frame
            .iter()
            .map(|row| row.value.map_or("null".into(), |value| value.to_string()))
            .collect();
        let line = [
            text(&columns(std::slice::from_ref(row))).remove(0),
            frame.len().to_string(),
            show((!flagged.is_empty()).then(|| flagged.iter().sum())),
            float,
            show(before.len().checked_sub(3).and_then(|at| before[at].value)),
            show(values.iter().min().copied()),
            values.iter().collect::<BTreeSet<_>>().len().to_string(),
            show(values.last().copied()),
            keys.join(";"),
            format!("[{}]", all.join(", ")),
        ];
        lines.push(line.join("|"));
    }
    lines
}

fn is_bounded(frame: Frame) -> bool {
    !matches!(frame, Frame::Rows { preceding: None } | Frame::Range { preceding_ms: None })
}

/// What is answered, by time and arrival; and what is late.
fn in_time(rows: &[Row], delay: i64, spec: &OverSpec) -> (Vec<Row>, Vec<String>) {
    let mut watermark = i64::MIN;
    let (mut kept, mut late) = (vec![], vec![]);
    // Rows that were kept, and the watermark then.
    let mut before: Vec<(&Row, i64)> = vec![];
    for row in rows {
        let answered = |(held, since): &(&Row, i64)| {
            (spec.partition.is_empty() || held.key == row.key)
                && held.time <= watermark
                && *since < watermark
                && row.time <= held.time
        };
        let is_late = match is_bounded(spec.frame) {
            // Flink's frames begin with 1970.
            true => row.time <= 0 || before.iter().any(answered),
            false => row.time <= watermark,
        };
        if !is_late {
            before.push((row, watermark));
        }
        match is_late {
            true => {
                let text = text(&columns(std::slice::from_ref(row))).remove(0);
                late.push(format!("{text} at {} after {watermark}", row.time));
            }
            false => kept.push(row.clone()),
        }
        watermark = watermark.max(row.time - delay);
    }
    kept.sort_by_key(|row| row.time);
    (kept, late)
}

#[test]
fn every_frame_in_event_time_as_by_hand() {
    for frame in FRAMES {
        for (disorder, delay) in [(0, 0), (20, 25), (20, 5)] {
            for partition in [vec![1], vec![]] {
                let rows = rows(3, 80, disorder);
                let spec = spec(OverOrder::EventTime(0), frame, &partition);
                let (kept, late) = in_time(&rows, delay, &spec);
                let expected = brute_force(&kept, &spec);
                for size in SIZES {
                    let mut operator = Over::new(spec.clone()).unwrap();
                    let mut seen = whole(&mut operator, &feed(&rows, delay), size);
                    let mut expected = expected.clone();
                    if is_bounded(frame) && delay < disorder {
                        // Rows that are answered late stand between others.
                        seen.rows.sort();
                        expected.sort();
                    }
                    let wrong = seen.rows.iter().zip(&expected).find(|(got, wanted)| got != wanted);
                    assert_eq!(wrong, None, "{frame:?} {disorder} {delay} {size}");
                    assert_eq!(seen.rows.len(), expected.len());
                    assert_eq!(seen.late, late, "{frame:?} {disorder} {delay} {size}");
                }
            }
        }
    }
}

#[test]
fn processing_time_answers_at_once_by_arrival() {
    for frame in [FRAMES[0], FRAMES[1], FRAMES[2], FRAMES[3]] {
        let rows = rows(5, 200, 20);
        let spec = spec(OverOrder::ProcessingTime, frame, &[1]);
        let expected = brute_force(&rows, &spec);
        for size in SIZES {
            let mut operator = Over::new(spec.clone()).unwrap();
            let feed = feed(&rows, 0);
            let mut seen = vec![];
            for first in (0..rows.len()).step_by(size) {
                let mut out = Output::default();
                let length = size.min(rows.len() - first);
                operator.on_batch(0, feed.batch(first, length), &mut out).unwrap();
                let rows = Seen::take(&mut out).rows;
                assert_eq!(rows.len(), length);
                seen.extend(rows);
            }
            assert_eq!(seen, expected, "{frame:?} {size}");
        }
    }
}

#[test]
fn a_restored_operator_goes_on_as_if_nothing_had_happened() {
    for frame in FRAMES {
        for partition in [vec![1], vec![]] {
            let rows = rows(9, 80, 20);
            let spec = spec(OverOrder::EventTime(0), frame, &partition);
            let feed = feed(&rows, 10);
            let make = || Over::new(spec.clone()).unwrap();
            let undisturbed = whole(&mut make(), &feed, 7).sorted();
            for half in [0, 1, 40, 79] {
                let resumed = resumed(make, &feed, half);
                assert_eq!(resumed.sorted(), undisturbed, "{frame:?} {half}");
            }
            if !partition.is_empty() {
                let halves = split(make, &feed, 40, by_key(partition)).sorted();
                assert_eq!(halves, undisturbed, "{frame:?} on two workers");
            }
        }
    }
}

#[test]
fn many_small_batches_do_not_pile_up() {
    // More one-row batches than chunks are kept: what is kept is gathered in between.
    let rows = rows(2, 5_000, 6);
    let mut spec = spec(OverOrder::EventTime(0), Frame::Rows { preceding: Some(2) }, &[1]);
    spec.functions.truncate(7);
    let mut fields = spec.schema.fields().to_vec();
    fields.truncate(5 + 7);
    spec.schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let feed = feed(&rows, 6);
    let one = whole(&mut Over::new(spec.clone()).unwrap(), &feed, 1);
    let many = whole(&mut Over::new(spec).unwrap(), &feed, 1024);
    assert_eq!(one.rows.len() + one.late.len(), rows.len());
    assert_eq!(one.sorted(), many.sorted());
}

#[test]
fn a_range_of_processing_time_goes_by_the_clock() {
    let spec = spec(OverOrder::ProcessingTime, Frame::Range { preceding_ms: Some(5) }, &[1]);
    let row = |value| Row { time: 0, key: "a", value: Some(value), flag: None };
    let mut operator = Over::new(spec.clone()).unwrap();
    let mut counts = vec![];
    for (now, values) in [(100, vec![1, 2]), (105, vec![3]), (106, vec![4]), (20, vec![5])] {
        if now == 106 {
            let saved = operator.save(0).unwrap();
            operator = Over::new(spec.clone()).unwrap();
            operator.load(saved).unwrap();
        }
        let rows: Vec<Row> = values.into_iter().map(row).collect();
        let mut out = Output::at(now);
        operator.on_batch(0, Batch::new(columns(&rows)), &mut out).unwrap();
        for row in Seen::take(&mut out).rows {
            counts.push(row.split('|').nth(5).unwrap().to_owned());
        }
    }
    // The clock does not step back: the last row comes at 106.
    assert_eq!(counts, ["1", "2", "3", "2", "3"]);
}

#[test]
fn a_changelog_is_refused() {
    let spec = spec(OverOrder::ProcessingTime, FRAMES[0], &[1]);
    let batch = Batch::new(columns(&rows(1, 1, 0)));
    let batch = batch.with_weights(Some(Int64Array::from(vec![-1])));
    let mut operator = Over::new(spec).unwrap();
    let error = operator.on_batch(0, batch, &mut Output::default()).unwrap_err();
    assert!(error.to_string().contains("changelog"), "{error}");
}
