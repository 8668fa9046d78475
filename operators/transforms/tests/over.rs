//! OVER against plain loops over sorted rows.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, SchemaRef};
use common::*;
use nowcast_engine::{Batch, Operator, Output, Time};
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
        ttl_ms: None,
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

/// SUM(value) of each key, over this frame.
fn sums(order: OverOrder, frame: Frame, ttl_ms: Option<i64>) -> OverSpec {
    let fields = [("ts", MS), ("key", DataType::Int64), ("value", DataType::Int64)];
    let output = [&fields[..], &[("sum", DataType::Int64)]].concat();
    let sum = AggregateCall {
        function: AggregateFunction::Sum,
        args: vec![2],
        distinct: false,
        filter: None,
        output: DataType::Int64,
    };
    OverSpec {
        order,
        partition: vec![1],
        frame,
        functions: vec![OverFunction::Aggregate(sum)],
        ttl_ms,
        input_schema: schema(&fields),
        schema: schema(&output),
    }
}

/// Rows of time, key and value.
fn of_keys(rows: &[(i64, i64, i64)]) -> Batch {
    let columns: Vec<ArrayRef> = vec![
        times(rows.iter().map(|row| Some(row.0)).collect()),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
    ];
    let spec = sums(OverOrder::ProcessingTime, FRAMES[0], None);
    Batch::new(RecordBatch::try_new(spec.input_schema, columns).unwrap())
}

/// The sums that come of a batch and of what the time does then.
fn answers(
    operator: &mut dyn Operator,
    now: i64,
    rows: &[(i64, i64, i64)],
    then: &[Time],
) -> Vec<i64> {
    let mut out = Output::at(now);
    if !rows.is_empty() {
        operator.on_batch(0, of_keys(rows), &mut out).unwrap();
    }
    then.iter().for_each(|time| operator.on_time(*time, &mut out).unwrap());
    let rows = Seen::take(&mut out).rows;
    rows.iter().map(|row| row.rsplit('|').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn a_partition_goes_when_no_frame_can_reach_its_rows() {
    let frame = Frame::Range { preceding_ms: Some(20) };
    let spec = sums(OverOrder::EventTime(0), frame, None);
    let mut operator = Over::new(spec.clone()).unwrap();
    let mut early = 0;
    for n in 1..5_000 {
        // A new key each, and one that goes on.
        let rows = [(10 * n, n, 1), (10 * n, 0, 1)];
        let seen = answers(&mut operator, 0, &rows, &[Time::Event(10 * n)]);
        assert_eq!(seen, [1, n.min(3)], "at {n}");
        if n == 1_000 {
            early = operator.state_bytes().unwrap();
        }
    }
    let bytes = operator.state_bytes().unwrap();
    assert!(bytes < 2 * early, "{bytes} bytes, {early} after a fifth of the keys");
    let rows: usize = operator.save(0).unwrap().iter().map(|table| table.rows.num_rows()).sum();
    assert!(rows < 20, "{rows} rows of state");

    // One and a half stretches behind its first row: the second comes within half of one. Also behind a restart.
    for restarts in [false, true] {
        let mut operator = Over::new(spec.clone()).unwrap();
        assert_eq!(answers(&mut operator, 0, &[(100, 7, 5)], &[Time::Event(100)]), [5]);
        assert_eq!(answers(&mut operator, 0, &[(103, 7, 2)], &[]), [0_i64; 0]);
        if restarts {
            let saved = operator.save(0).unwrap();
            operator = Over::new(spec.clone()).unwrap();
            operator.load(saved).unwrap();
        }
        assert_eq!(answers(&mut operator, 0, &[], &[Time::Event(130)]), [7]);
        assert!(!operator.save(0).unwrap().is_empty(), "at 130");
        answers(&mut operator, 0, &[], &[Time::Event(131)]);
        assert!(operator.save(0).unwrap().is_empty(), "at 131");
        assert_eq!(answers(&mut operator, 0, &[(140, 7, 1)], &[Time::Event(140)]), [1]);
    }
}

#[test]
fn a_quiet_partition_goes_after_the_time_to_live_unless_its_rows_wait() {
    let frames = [FRAMES[0], FRAMES[1], Frame::Rows { preceding: Some(9) }, FRAMES[3]];
    for (frame, restarts) in frames.into_iter().flat_map(|frame| [(frame, false), (frame, true)]) {
        let alone = frame == FRAMES[1];
        let sum = |whole: i64, last: i64| if alone { last } else { whole };
        let spec = sums(OverOrder::EventTime(0), frame, Some(1_000));
        let mut operator = Over::new(spec.clone()).unwrap();
        let clock = |now| Time::Processing(now);
        answers(&mut operator, 0, &[], &[clock(10_000)]);
        let rows = [(1, 7, 5), (2, 8, 6)];
        assert_eq!(answers(&mut operator, 0, &rows, &[Time::Event(2)]), [5, 6]);
        answers(&mut operator, 0, &[], &[clock(10_600)]);
        assert_eq!(answers(&mut operator, 0, &[(3, 7, 1)], &[Time::Event(3)]), [sum(6, 1)]);
        // One that waits keeps its partition.
        answers(&mut operator, 0, &[(9, 8, 2)], &[]);
        if restarts {
            let saved = operator.save(0).unwrap();
            operator = Over::new(spec.clone()).unwrap();
            operator.load(saved).unwrap();
        }
        answers(
            &mut operator,
            0,
            &[],
            &[clock(11_500), clock(11_700), clock(13_000), clock(15_000)],
        );
        let seen = answers(&mut operator, 0, &[(10, 7, 1)], &[Time::Event(10)]);
        assert_eq!(seen, [sum(8, 2), 1], "{frame:?} {restarts}");
        answers(&mut operator, 0, &[], &[clock(15_999)]);
        assert_eq!(answers(&mut operator, 0, &[(11, 7, 1)], &[Time::Event(11)]), [sum(2, 1)]);
        answers(&mut operator, 0, &[], &[clock(20_000)]);
        assert!(operator.save(0).unwrap().is_empty(), "{frame:?} {restarts}");
    }
    // Without a time to live it stays.
    let mut operator = Over::new(sums(OverOrder::EventTime(0), FRAMES[0], None)).unwrap();
    assert_eq!(
        answers(&mut operator, 0, &[(1, 7, 5)], &[Time::Event(2), Time::Processing(0)]),
        [5]
    );
    answers(&mut operator, 0, &[], &[Time::Processing(i64::MAX / 2)]);
    assert_eq!(answers(&mut operator, 0, &[(3, 7, 1)], &[Time::Event(3)]), [6]);
}

#[test]
fn by_arrival_partitions_go_by_the_clock() {
    let stretch = Frame::Range { preceding_ms: Some(20) };
    for (frame, ttl_ms, goes_at) in [(stretch, None, 131), (FRAMES[0], Some(50), 150)] {
        let mut operator = Over::new(sums(OverOrder::ProcessingTime, frame, ttl_ms)).unwrap();
        answers(&mut operator, 100, &[], &[Time::Processing(100)]);
        assert_eq!(answers(&mut operator, 100, &[(0, 7, 5), (0, 7, 1)], &[]), [5, 6]);
        answers(&mut operator, 0, &[], &[Time::Processing(goes_at - 1)]);
        assert!(!operator.save(0).unwrap().is_empty(), "{frame:?}");
        answers(&mut operator, 0, &[], &[Time::Processing(goes_at)]);
        assert!(operator.save(0).unwrap().is_empty(), "{frame:?}");
        assert_eq!(answers(&mut operator, goes_at, &[(0, 7, 1)], &[]), [1]);
    }
}
