//! Interval and window joins against joining all rows at once.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use common::*;
use nowcast_engine::{Batch, Operator, Output, Time};
use nowcast_transforms::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Port, key, number, time.
type Row = (usize, Option<i64>, i64, i64);

const WINDOW: i64 = 50;
const DELAY: i64 = 20;

/// Rows of both ports by time, at most `DELAY` out of order.
fn rows(seed: u64, count: i64) -> Vec<Row> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|number| {
            let key = random.random_bool(0.9).then(|| random.random_range(0..4));
            let time = number * 3 - random.random_range(0..DELAY);
            (random.random_range(0..2), key, number, time)
        })
        .collect()
}

fn fields(port: usize) -> Vec<(&'static str, DataType)> {
    match port {
        0 => vec![("lk", DataType::Int64), ("l", DataType::Int64), ("lt", MS)],
        _ => vec![("rk", DataType::Int64), ("r", DataType::Int64), ("rt", MS)],
    }
}

fn join(kind: JoinKind, keys: Vec<usize>) -> JoinSpec {
    let mut output = fields(0);
    if !kind.left_only() {
        output.extend(fields(1));
    }
    JoinSpec {
        kind,
        null_safe: vec![false; keys.len()],
        left_keys: keys.clone(),
        right_keys: keys,
        condition: None,
        left: schema(&fields(0)),
        right: schema(&fields(1)),
        schema: schema(&output),
    }
}

fn interval(kind: JoinKind, lower_ms: i64, upper_ms: i64) -> IntervalJoin {
    let spec = IntervalJoinSpec {
        join: join(kind, vec![0]),
        times: [2, 2],
        lower_ms,
        upper_ms,
        clock: Clock::Watermark,
    };
    IntervalJoin::new(spec).unwrap()
}

/// The third column is the end of the window and one of the keys.
fn window(kind: JoinKind) -> WindowJoin {
    let spec = WindowJoinSpec {
        join: join(kind, vec![0, 2]),
        clock: WindowClock::EVENT_TIME,
        window_ends: [2, 2],
    };
    WindowJoin::new(spec).unwrap()
}

fn batch(rows: &[Row]) -> Batch {
    let port: SchemaRef = schema(&fields(rows[0].0));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
        times(rows.iter().map(|row| Some(row.3)).collect()),
    ];
    Batch::new(RecordBatch::try_new(port, columns).unwrap())
}

/// Feeds rows in batches of one port each, a watermark behind each.
fn feed(join: &mut dyn Operator, rows: &[Row], size: usize, out: &mut Output) {
    for run in rows.chunk_by(|left, right| left.0 == right.0).flat_map(|run| run.chunks(size)) {
        join.on_batch(run[0].0, batch(run), out).unwrap();
        let watermark = run.last().unwrap().2 * 3 - DELAY;
        join.on_time(Time::Event(watermark), out).unwrap();
    }
}

fn expected(kind: JoinKind, rows: &[Row], near: impl Fn(&Row, &Row) -> bool) -> Vec<String> {
    let show = |row: Option<&Row>| match row {
        Some((_, key, number, time)) => {
            let key = key.map_or("null".to_owned(), |key| key.to_string());
            format!("{key}|{number}|{time}")
        }
        None => "null|null|null".to_owned(),
    };
    let of = |port: usize| rows.iter().filter(move |row| row.0 == port);
    let pairs =
        |left: &Row, right: &Row| left.1.is_some() && left.1 == right.1 && near(left, right);
    let mut all = vec![];
    for left in of(0) {
        let partners: Vec<&Row> = of(1).filter(|right| pairs(left, right)).collect();
        let alone = partners.is_empty();
        match kind {
            JoinKind::Semi if !alone => all.push(show(Some(left))),
            JoinKind::Anti if alone => all.push(show(Some(left))),
            JoinKind::Semi | JoinKind::Anti => {}
            _ => all.extend(
                partners.iter().map(|right| format!("{}|{}", show(Some(left)), show(Some(right)))),
            ),
        }
        if alone && matches!(kind, JoinKind::Left | JoinKind::Full) {
            all.push(format!("{}|{}", show(Some(left)), show(None)));
        }
    }
    if matches!(kind, JoinKind::Right | JoinKind::Full) {
        for right in of(1).filter(|right| !of(0).any(|left| pairs(left, right))) {
            all.push(format!("{}|{}", show(None), show(Some(right))));
        }
    }
    all.sort();
    all
}

const OUTER: [JoinKind; 4] = [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full];

#[test]
fn rows_within_the_interval_are_joined_once() {
    let rows = rows(1, 400);
    for kind in OUTER {
        for (lower, upper) in [(-30, 10), (5, 40), (-40, -5), (0, 0), (10, -10)] {
            let near = |left: &Row, right: &Row| (lower..=upper).contains(&(right.3 - left.3));
            let expected = expected(kind, &rows, near);
            for size in SIZES {
                let mut out = Output::default();
                let mut join = interval(kind, lower, upper);
                feed(&mut join, &rows, size, &mut out);
                join.on_time(Time::Event(i64::MAX), &mut out).unwrap();
                let seen = Seen::take(&mut out).sorted();
                assert_eq!(seen.rows, expected, "{kind:?} {lower} {upper} {size}");
                assert!(join.save(0).unwrap().is_empty(), "rows are kept for nothing");
            }
        }
    }
}

#[test]
fn a_row_that_comes_too_late_is_set_aside_or_padded() {
    for (kind, late, emitted) in [(JoinKind::Inner, 1, 0), (JoinKind::Left, 0, 1)] {
        let mut out = Output::default();
        let mut join = interval(kind, -10, 10);
        join.on_time(Time::Event(100), &mut out).unwrap();
        join.on_batch(0, batch(&[(0, Some(1), 1, 90)]), &mut out).unwrap();
        let seen = Seen::take(&mut out);
        assert_eq!((seen.late.len(), seen.rows.len()), (late, emitted), "{kind:?}");
    }
}

#[test]
fn it_is_told_what_a_join_waits_for() {
    let mut out = Output::default();
    for (kind, expected) in [
        (JoinKind::Inner, [None, None, None]),
        (JoinKind::Left, [Some(110), Some(130), None]),
        (JoinKind::Full, [Some(110), Some(130), None]),
    ] {
        let mut join = interval(kind, -10, 10);
        join.on_batch(0, batch(&[(0, Some(1), 1, 100), (0, Some(2), 2, 120)]), &mut out).unwrap();
        let alone = join.waiting();
        // A row that has met a partner leaves without a word.
        join.on_batch(1, batch(&[(1, Some(1), 3, 105)]), &mut out).unwrap();
        let met = join.waiting();
        join.on_time(Time::Event(130), &mut out).unwrap();
        assert_eq!([alone, met, join.waiting()], expected, "{kind:?}");
    }
    let mut join = window(JoinKind::Inner);
    join.on_batch(0, batch(&[(0, Some(1), 1, 100), (0, Some(1), 2, 50)]), &mut out).unwrap();
    assert_eq!(join.waiting(), Some(50));
    join.on_time(Time::Event(49), &mut out).unwrap();
    assert_eq!(join.waiting(), Some(100));
    join.on_time(Time::Event(99), &mut out).unwrap();
    assert_eq!(join.waiting(), None);
}

#[test]
fn by_the_wall_clock_nothing_waits_for_the_watermark() {
    let mut out = Output::default();
    let spec = IntervalJoinSpec {
        join: join(JoinKind::Left, vec![0]),
        times: [2, 2],
        lower_ms: -10,
        upper_ms: 10,
        clock: Clock::Wall,
    };
    let mut interval = IntervalJoin::new(spec).unwrap();
    interval.on_batch(0, batch(&[(0, Some(1), 1, 100)]), &mut out).unwrap();
    let spec = WindowJoinSpec {
        join: join(JoinKind::Inner, vec![0, 2]),
        clock: WindowClock::new(Clock::Wall, WindowClock::EVENT_TIME.zone),
        window_ends: [2, 2],
    };
    let mut window = WindowJoin::new(spec).unwrap();
    window.on_batch(0, batch(&[(0, Some(1), 1, 100)]), &mut out).unwrap();
    assert_eq!([interval.waiting(), window.waiting()], [None, None]);
}

#[test]
fn windows_are_joined_when_they_are_over() {
    let in_windows = |row: &Row| (row.0, row.1, row.2, row.3.div_euclid(WINDOW) * WINDOW + WINDOW);
    let rows: Vec<Row> = rows(2, 400).iter().map(in_windows).collect();
    for kind in OUTER.into_iter().chain([JoinKind::Semi, JoinKind::Anti]) {
        let expected = expected(kind, &rows, |left, right| left.3 == right.3);
        for size in SIZES {
            let mut out = Output::default();
            let mut join = window(kind);
            feed(&mut join, &rows, size, &mut out);
            join.on_time(Time::Event(i64::MAX), &mut out).unwrap();
            assert_eq!(Seen::take(&mut out).sorted().rows, expected, "{kind:?} {size}");
        }
    }
}

fn goes_on<O: Operator>(make: impl Fn() -> O, rows: &[Row], key: Vec<usize>) -> Vec<String> {
    let (first, rest) = rows.split_at(rows.len() / 2);
    let mut out = Output::default();
    let mut join = make();
    feed(&mut join, first, 7, &mut out);
    let saved = join.save(0).unwrap();
    for worker in 0..2 {
        let mut join = make();
        join.load(owned(&saved, worker)).unwrap();
        join.on_time(Time::Event(first.last().unwrap().2 * 3 - DELAY), &mut out).unwrap();
        for row in rest {
            if by_key(key.clone())(batch(&[*row]).rows()) == [worker] {
                join.on_batch(row.0, batch(&[*row]), &mut out).unwrap();
            }
        }
        join.on_time(Time::Event(i64::MAX), &mut out).unwrap();
    }
    Seen::take(&mut out).sorted().rows
}

#[test]
fn state_is_taken_up_again_by_key_group() {
    let rows = rows(3, 300);
    for kind in OUTER {
        let near = |left: &Row, right: &Row| (-30..=30).contains(&(right.3 - left.3));
        let seen = goes_on(|| interval(kind, -30, 30), &rows, vec![0]);
        assert_eq!(seen, expected(kind, &rows, near), "{kind:?}");
        let in_windows =
            |row: &Row| (row.0, row.1, row.2, row.3.div_euclid(WINDOW) * WINDOW + WINDOW);
        let rows: Vec<Row> = rows.iter().map(in_windows).collect();
        let seen = goes_on(|| window(kind), &rows, vec![0, 2]);
        assert_eq!(seen, expected(kind, &rows, |left, right| left.3 == right.3), "{kind:?}");
    }
}
