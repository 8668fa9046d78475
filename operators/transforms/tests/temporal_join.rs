//! Temporal joins against looking every version up.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use common::*;
use nowcast_engine::{Batch, Operator, Output, Time};
use nowcast_transforms::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DELAY: i64 = 20;

/// Port, key, number, time, weight.
type Row = (usize, Option<i64>, i64, i64, i64);

fn rows(seed: u64, count: i64) -> Vec<Row> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..count)
        .map(|number| {
            let key = random.random_bool(0.9).then(|| random.random_range(0..5));
            let port = usize::from(random.random_bool(0.4));
            let weight = if port == 1 && random.random_bool(0.2) { -1 } else { 1 };
            // Every time is another one, at most a delay out of order.
            let time = (number + random.random_range(0..DELAY)) * 1_000 + number;
            (port, key, number, time, weight)
        })
        .collect()
}

fn fields(port: usize) -> Vec<(&'static str, DataType)> {
    match port {
        0 => vec![("lk", DataType::Int64), ("l", DataType::Int64), ("lt", MS)],
        _ => vec![("rk", DataType::Int64), ("r", DataType::Int64), ("rt", MS)],
    }
}

fn join(kind: JoinKind, newest: bool) -> TemporalJoin {
    let join = JoinSpec {
        kind,
        null_safe: vec![false],
        left_keys: vec![0],
        right_keys: vec![0],
        condition: None,
        left: schema(&fields(0)),
        right: schema(&fields(1)),
        schema: schema(&[fields(0), fields(1)].concat()),
    };
    TemporalJoin::new(TemporalJoinSpec { join, times: [2, 2], newest }).unwrap()
}

fn batch(rows: &[Row]) -> Batch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
        times(rows.iter().map(|row| Some(row.3)).collect()),
    ];
    let weights = Int64Array::from_iter_values(rows.iter().map(|row| row.4));
    Batch::new(RecordBatch::try_new(schema(&fields(rows[0].0)), columns).unwrap())
        .with_weights(Some(weights))
}

/// A delete next to an insert would be an update: each is a batch of its own.
fn feed(join: &mut dyn Operator, rows: &[Row], size: usize, out: &mut Output) {
    let same = |left: &Row, right: &Row| left.0 == right.0 && left.4 == right.4;
    for run in rows.chunk_by(same).flat_map(|run| run.chunks(size)) {
        join.on_batch(run[0].0, batch(run), out).unwrap();
        join.on_time(Time::Event(watermark(run)), out).unwrap();
    }
}

/// Behind the last of the rows; none after it is earlier.
fn watermark(rows: &[Row]) -> i64 {
    rows.last().unwrap().2 * 1_000
}

fn expected(rows: &[Row], kind: JoinKind, newest: bool) -> Vec<String> {
    let mut versions: BTreeMap<i64, BTreeMap<i64, Option<i64>>> = BTreeMap::new();
    for (_, key, number, time, weight) in rows.iter().filter(|row| row.0 == 1) {
        let Some(key) = key else { continue };
        let of_key = versions.entry(*key).or_default();
        if !newest || of_key.last_key_value().is_none_or(|(last, _)| time >= last) {
            of_key.insert(*time, (*weight > 0).then_some(*number));
        }
    }
    let mut all = vec![];
    for (_, key, number, time, _) in rows.iter().filter(|row| row.0 == 0) {
        let version = key
            .and_then(|key| versions.get(&key)?.range(..=*time).next_back())
            .and_then(|(from, version)| Some((*from, (*version)?)));
        let name = key.map_or("null".to_owned(), |key| key.to_string());
        match version {
            Some((from, version)) => {
                all.push(format!("{name}|{number}|{time}|{name}|{version}|{from}"));
            }
            None if kind == JoinKind::Left => {
                all.push(format!("{name}|{number}|{time}|null|null|null"));
            }
            None => {}
        }
    }
    all.sort();
    all
}

#[test]
fn a_row_meets_the_version_of_its_time() {
    let rows = rows(1, 400);
    for kind in [JoinKind::Inner, JoinKind::Left] {
        for newest in [false, true] {
            let expected = expected(&rows, kind, newest);
            for size in SIZES {
                let mut out = Output::default();
                let mut join = join(kind, newest);
                feed(&mut join, &rows, size, &mut out);
                join.on_time(Time::Event(i64::MAX), &mut out).unwrap();
                let seen = Seen::take(&mut out).sorted();
                assert_eq!(seen.rows, expected, "{kind:?} {newest} {size}");
                // One version a key at most.
                let kept: usize =
                    join.save(0).unwrap().iter().map(|table| table.rows.num_rows()).sum();
                assert!(kept <= 5, "{kept} rows are kept");
            }
        }
    }
}

#[test]
fn state_is_taken_up_again_by_key_group() {
    let rows = rows(2, 300);
    for newest in [false, true] {
        let (first, rest) = rows.split_at(150);
        let mut out = Output::default();
        let mut whole = join(JoinKind::Left, newest);
        feed(&mut whole, first, 7, &mut out);
        let saved = whole.save(0).unwrap();
        for worker in 0..2 {
            let mut join = join(JoinKind::Left, newest);
            join.load(owned(&saved, worker)).unwrap();
            join.on_time(Time::Event(watermark(first)), &mut out).unwrap();
            for row in rest {
                if by_key(vec![0])(batch(&[*row]).rows()) == [worker] {
                    feed(&mut join, &[*row], 1, &mut out);
                }
            }
            join.on_time(Time::Event(i64::MAX), &mut out).unwrap();
        }
        let seen = Seen::take(&mut out).sorted();
        assert_eq!(seen.rows, expected(&rows, JoinKind::Left, newest), "{newest}");
    }
}

#[test]
fn the_old_row_of_an_update_is_no_end_of_its_version() {
    let mut join = join(JoinKind::Inner, false);
    let mut out = Output::default();
    join.on_batch(1, batch(&[(1, Some(1), 1, 10, 1)]), &mut out).unwrap();
    let update = [(1, Some(1), 1, 10, -1), (1, Some(1), 2, 20, 1)];
    join.on_batch(1, batch(&update), &mut out).unwrap();
    join.on_batch(0, batch(&[(0, Some(1), 7, 15, 1), (0, Some(1), 8, 25, 1)]), &mut out).unwrap();
    join.on_time(Time::Event(30), &mut out).unwrap();
    assert_eq!(Seen::take(&mut out).rows, ["1|7|15|1|1|10", "1|8|25|1|2|20"]);
}

#[test]
fn the_earliest_row_waits_for_the_watermark() {
    let mut out = Output::default();
    let mut join = join(JoinKind::Inner, false);
    join.on_batch(1, batch(&[(1, Some(1), 0, 10, 1)]), &mut out).unwrap();
    assert_eq!(join.waiting(), None);
    join.on_batch(0, batch(&[(0, Some(1), 1, 40, 1), (0, None, 2, 30, 1)]), &mut out).unwrap();
    assert_eq!(join.waiting(), Some(30));
    join.on_time(Time::Event(30), &mut out).unwrap();
    assert_eq!(join.waiting(), Some(40));
    join.on_time(Time::Event(40), &mut out).unwrap();
    assert_eq!(join.waiting(), None);
}
