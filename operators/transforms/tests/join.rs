//! Regular joins against joining what stands at the end.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use common::*;
use nowcast_engine::{Batch, Evaluate, Operator, Output, Result, Time};
use nowcast_transforms::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Key and value of a row.
type Row = (Option<i64>, i64);

/// A change: port, row, weight.
type Change = (usize, Row, i64);

const KINDS: [JoinKind; 6] = [
    JoinKind::Inner,
    JoinKind::Left,
    JoinKind::Right,
    JoinKind::Full,
    JoinKind::Semi,
    JoinKind::Anti,
];

/// The left value is below the right one.
struct Below;

impl Evaluate for Below {
    fn evaluate(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let of = |column: usize| {
            rows.column(column).as_any().downcast_ref::<Int64Array>().unwrap().clone()
        };
        let (left, right) = (of(1), of(3));
        let below = left.iter().zip(right.iter()).map(|(left, right)| Some(left? < right?));
        Ok(Arc::new(BooleanArray::from_iter(below)))
    }
}

fn side(names: [&str; 2]) -> SchemaRef {
    schema(&names.map(|name| (name, DataType::Int64)))
}

fn spec(kind: JoinKind, null_safe: bool, below: bool) -> JoinSpec {
    let mut fields = vec![("lk", DataType::Int64), ("lv", DataType::Int64)];
    if !kind.left_only() {
        fields.extend([("rk", DataType::Int64), ("rv", DataType::Int64)]);
    }
    JoinSpec {
        kind,
        left_keys: vec![0],
        right_keys: vec![0],
        null_safe: vec![null_safe],
        condition: below.then(|| Arc::new(Below) as Arc<dyn Evaluate>),
        left: side(["lk", "lv"]),
        right: side(["rk", "rv"]),
        schema: schema(&fields),
    }
}

fn changes(seed: u64, count: usize) -> Vec<Change> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut standing: [Vec<Row>; 2] = [vec![], vec![]];
    (0..count)
        .map(|_| {
            let port = random.random_range(0..2);
            let rows = &mut standing[port];
            if !rows.is_empty() && random.random_bool(0.4) {
                let row = rows.swap_remove(random.random_range(0..rows.len()));
                return (port, row, -1);
            }
            let key = random.random_bool(0.9).then(|| random.random_range(0..6));
            let row = (key, random.random_range(0..4));
            rows.push(row);
            (port, row, 1)
        })
        .collect()
}

fn batch(changes: &[Change], names: [&str; 2]) -> Batch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter(changes.iter().map(|change| change.1.0))),
        Arc::new(Int64Array::from_iter_values(changes.iter().map(|change| change.1.1))),
    ];
    let weights = Int64Array::from_iter_values(changes.iter().map(|change| change.2));
    Batch::new(RecordBatch::try_new(side(names), columns).unwrap()).with_weights(Some(weights))
}

/// Feeds changes in batches of one port each, of `size` rows at most.
fn feed(join: &mut dyn Operator, changes: &[Change], size: usize, out: &mut Output) {
    let same_port = |left: &Change, right: &Change| left.0 == right.0;
    for run in changes.chunk_by(same_port).flat_map(|run| run.chunks(size)) {
        let names = [["lk", "lv"], ["rk", "rv"]][run[0].0];
        join.on_batch(run[0].0, batch(run, names), out).unwrap();
    }
}

/// The rows that stand after all that was emitted; none is ever taken back that does not stand.
fn standing(out: &mut Output) -> BTreeMap<String, i64> {
    let mut rows: BTreeMap<String, i64> = BTreeMap::new();
    for batch in out.take_batches() {
        for (nth, row) in text(batch.rows()).into_iter().enumerate() {
            let weight = batch.weights().map_or(1, |weights| weights.value(nth));
            let count = rows.entry(row.clone()).or_default();
            *count += weight;
            assert!(*count >= 0, "{row} was taken back too often");
        }
    }
    rows.retain(|_, count| *count != 0);
    rows
}

fn expected(spec: &JoinSpec, changes: &[Change]) -> BTreeMap<String, i64> {
    let mut sides: [Vec<Row>; 2] = [vec![], vec![]];
    for (port, row, weight) in changes {
        match weight {
            1 => sides[*port].push(*row),
            _ => {
                let at = sides[*port].iter().position(|held| held == row).unwrap();
                sides[*port].swap_remove(at);
            }
        }
    }
    let pairs = |left: &Row, right: &Row| {
        left.0 == right.0
            && (left.0.is_some() || spec.null_safe[0])
            && (spec.condition.is_none() || left.1 < right.1)
    };
    let show = |row: Option<&Row>| match row {
        Some((key, value)) => {
            format!("{}|{value}", key.map_or("null".to_owned(), |key| key.to_string()))
        }
        None => "null|null".to_owned(),
    };
    let mut rows: BTreeMap<String, i64> = BTreeMap::new();
    let mut add = |row: String| *rows.entry(row).or_default() += 1;
    let [lefts, rights] = &sides;
    for left in lefts {
        let partners: Vec<&Row> = rights.iter().filter(|right| pairs(left, right)).collect();
        match spec.kind {
            JoinKind::Semi if !partners.is_empty() => add(show(Some(left))),
            JoinKind::Anti if partners.is_empty() => add(show(Some(left))),
            JoinKind::Semi | JoinKind::Anti => {}
            _ => partners
                .iter()
                .for_each(|right| add(format!("{}|{}", show(Some(left)), show(Some(right))))),
        }
        if partners.is_empty() && matches!(spec.kind, JoinKind::Left | JoinKind::Full) {
            add(format!("{}|{}", show(Some(left)), show(None)));
        }
    }
    if matches!(spec.kind, JoinKind::Right | JoinKind::Full) {
        for right in rights.iter().filter(|right| !lefts.iter().any(|left| pairs(left, right))) {
            add(format!("{}|{}", show(None), show(Some(right))));
        }
    }
    rows
}

#[test]
fn what_stands_is_the_join_of_what_stands() {
    for kind in KINDS {
        for (null_safe, below) in [(false, false), (true, false), (false, true)] {
            let spec = spec(kind, null_safe, below);
            let changes = changes(3, 600);
            for size in SIZES {
                let mut join = Join::new(spec.clone(), None).unwrap();
                let mut out = Output::default();
                feed(&mut join, &changes, size, &mut out);
                let name = format!("{kind:?} {null_safe} {below} {size}");
                assert_eq!(standing(&mut out), expected(&spec, &changes), "{name}");
            }
        }
    }
}

#[test]
fn state_is_taken_up_again_by_key_group() {
    for kind in KINDS {
        let spec = spec(kind, false, true);
        let changes = changes(5, 400);
        let (first, rest) = changes.split_at(200);
        let mut out = Output::default();
        let mut join = Join::new(spec.clone(), None).unwrap();
        feed(&mut join, first, 7, &mut out);
        let saved = join.save(0).unwrap();
        for worker in 0..2 {
            let mut join = Join::new(spec.clone(), None).unwrap();
            join.load(owned(&saved, worker)).unwrap();
            let of = |change: &&Change| {
                let rows = batch(&[**change], ["lk", "lv"]);
                by_key(vec![0])(rows.rows()) == [worker]
            };
            let own: Vec<Change> = rest.iter().filter(of).copied().collect();
            feed(&mut join, &own, 7, &mut out);
        }
        assert_eq!(standing(&mut out), expected(&spec, &changes), "{kind:?}");
    }
}

#[test]
fn rows_are_forgotten_when_they_have_not_been_written_for_the_ttl() {
    let mut join = Join::new(spec(JoinKind::Inner, false, false), Some(1_000)).unwrap();
    let mut out = Output::default();
    // The clock was not seen yet: the row counts as written at the first tick.
    feed(&mut join, &[(0, (Some(1), 1), 1)], 1, &mut out);
    join.on_time(Time::Processing(50_000), &mut out).unwrap();
    feed(&mut join, &[(0, (Some(2), 2), 1)], 1, &mut out);
    join.on_time(Time::Processing(50_900), &mut out).unwrap();
    feed(&mut join, &[(0, (Some(2), 2), 1), (1, (Some(1), 7), 1)], 1, &mut out);
    assert_eq!(standing(&mut out).len(), 1);
    let saved = join.save(0).unwrap();
    let mut join = Join::new(spec(JoinKind::Inner, false, false), Some(1_000)).unwrap();
    join.load(saved).unwrap();
    join.on_time(Time::Processing(51_500), &mut out).unwrap();
    feed(&mut join, &[(1, (Some(1), 8), 1), (1, (Some(2), 9), 1)], 1, &mut out);
    assert_eq!(standing(&mut out), BTreeMap::from([("2|2|2|9".to_owned(), 2)]));
    join.on_time(Time::Processing(60_000), &mut out).unwrap();
    assert!(join.save(0).unwrap().is_empty());
}

#[test]
fn a_join_without_keys_pairs_all_rows() {
    let mut spec = spec(JoinKind::Inner, false, false);
    (spec.left_keys, spec.right_keys, spec.null_safe) = (vec![], vec![], vec![]);
    let mut join = Join::new(spec, None).unwrap();
    let mut out = Output::default();
    feed(
        &mut join,
        &[(0, (None, 1), 1), (0, (Some(2), 2), 1), (1, (None, 3), 1), (1, (Some(4), 4), 1)],
        7,
        &mut out,
    );
    assert_eq!(standing(&mut out).len(), 4);
}

#[test]
fn keys_of_other_types_are_refused() {
    let mut spec = spec(JoinKind::Inner, false, false);
    spec.right = schema(&[("rk", DataType::Utf8), ("rv", DataType::Int64)]);
    let error = Join::new(spec, None).err().unwrap().to_string();
    assert!(error.contains("keys"), "{error}");
}
