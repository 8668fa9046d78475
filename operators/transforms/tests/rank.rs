//! Top-N without a window against sorting, and the first row of each key.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use common::changes::*;
use common::*;
use nowcast_engine::{Operator, Output, Time};
use nowcast_transforms::*;

fn spec(first: usize, last: usize, numbered: bool, retracts: bool) -> RankSpec {
    let mut output = fields();
    if numbered {
        output.push(("n", DataType::Int64));
    }
    let by = |column, descending| SortKey { column, descending, nulls_first: !descending };
    RankSpec {
        partition: vec![0],
        order: vec![by(2, true), by(1, false)],
        ties: Ties::EarlierFirst,
        first,
        last,
        numbered,
        retracts,
        ttl_ms: None,
        kept: 3,
        input_schema: schema(&fields()),
        schema: schema(&output),
    }
}

fn sorted(changes: &[Change], spec: &RankSpec) -> BTreeMap<String, i64> {
    let mut rows: BTreeMap<i64, Vec<Change>> = BTreeMap::new();
    for change in changes {
        let rows = rows.entry(change.0).or_default();
        match change.3 {
            1 => rows.push(*change),
            _ => rows.retain(|row| row.1 != change.1),
        }
    }
    let mut standing = BTreeMap::new();
    for mut rows in rows.into_values() {
        rows.sort_by_key(|row| (std::cmp::Reverse(row.2), row.1));
        for (nth, row) in rows.into_iter().enumerate().take(spec.last).skip(spec.first - 1) {
            let mut line = text(batch(&[row]).rows()).remove(0);
            if spec.numbered {
                line.push_str(&format!("|{}", nth + 1));
            }
            standing.insert(line, 1);
        }
    }
    standing
}

#[test]
fn the_wanted_rows_stand_as_by_sorting() {
    for (first, last, numbered, retracts) in [
        (1, 1, false, false),
        (1, 3, true, false),
        (2, 5, true, true),
        (1, 4, false, true),
        (3, 3, false, true),
    ] {
        let spec = spec(first, last, numbered, retracts);
        let changes = changes(3, 600, if retracts { 0.45 } else { 0.0 }, anywhere);
        for size in SIZES {
            let mut operator = Rank::new(spec.clone()).unwrap();
            let (mut out, mut standing) = (Output::default(), BTreeMap::new());
            let mut seen = 0;
            for part in changes.chunks(size) {
                operator.on_batch(0, batch(part), &mut out).unwrap();
                add(&mut standing, &mut out);
                seen += part.len();
                if size > 1 {
                    assert_eq!(standing, sorted(&changes[..seen], &spec), "{spec:?}");
                }
            }
            assert_eq!(standing, sorted(&changes, &spec), "{spec:?}");
        }
    }
}

#[test]
fn two_workers_go_on_from_the_state_of_one() {
    let spec = spec(1, 3, true, true);
    let changes = changes(5, 400, 0.45, anywhere);
    let (mut out, mut standing) = (Output::default(), BTreeMap::new());
    let mut one = Rank::new(spec.clone()).unwrap();
    changes[..200].chunks(7).for_each(|part| one.on_batch(0, batch(part), &mut out).unwrap());
    let saved = one.save(0).unwrap();
    let workers = by_key(vec![0])(batch(&changes).rows());
    for worker in 0..2 {
        let mut half = Rank::new(spec.clone()).unwrap();
        half.load(owned(&saved, worker)).unwrap();
        let own = changes.iter().zip(&workers).skip(200).filter(|(_, of)| **of == worker);
        let own: Vec<Change> = own.map(|(change, _)| *change).collect();
        own.chunks(7).for_each(|part| half.on_batch(0, batch(part), &mut out).unwrap());
    }
    add(&mut standing, &mut out);
    assert_eq!(standing, sorted(&changes, &spec));
}

#[test]
fn without_the_number_a_row_that_moves_is_no_change() {
    let rows = [(0, 1, Some(5), 1), (0, 2, Some(4), 1)];
    let better = [(0, 3, Some(9), 1)];
    for (numbered, expected) in
        [(false, vec!["0|2|4", "0|3|9"]), (true, vec!["0|1|5|1", "0|2|4|2", "0|3|9|1", "0|1|5|2"])]
    {
        let mut operator = Rank::new(spec(1, 2, numbered, false)).unwrap();
        let mut out = Output::default();
        operator.on_batch(0, batch(&rows), &mut out).unwrap();
        out.take_batches();
        operator.on_batch(0, batch(&better), &mut out).unwrap();
        assert_eq!(Seen::take(&mut out).rows, expected);
    }
}

#[test]
fn a_quiet_partition_is_forgotten() {
    let mut spec = spec(1, 1, false, true);
    spec.ttl_ms = Some(100);
    let mut operator = Rank::new(spec).unwrap();
    let mut out = Output::default();
    operator.on_time(Time::Processing(0), &mut out).unwrap();
    operator.on_batch(0, batch(&[(0, 1, Some(5), 1)]), &mut out).unwrap();
    operator.on_time(Time::Processing(100), &mut out).unwrap();
    operator.on_batch(0, batch(&[(0, 1, Some(5), -1)]), &mut out).unwrap();
    operator.on_batch(0, batch(&[(0, 2, Some(1), 1)]), &mut out).unwrap();
    assert_eq!(Seen::take(&mut out).rows, ["0|1|5", "0|2|1"]);
}

/// Key and time.
fn first_rows(time: Option<usize>) -> FirstRow {
    let fields = schema(&[("k", DataType::Int64), ("ts", MS)]);
    let (input_schema, schema) = (Arc::clone(&fields), fields);
    let spec = FirstRowSpec { keys: vec![0], time, ttl_ms: None, kept: 2, input_schema, schema };
    FirstRow::new(spec).unwrap()
}

fn keyed(rows: &[(i64, Option<i64>)]) -> Feed {
    let moments: Vec<Option<i64>> = rows.iter().map(|row| row.1).collect();
    let keys = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
    let fields = schema(&[("k", DataType::Int64), ("ts", MS)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(keys), times(moments.clone())];
    Feed::new(RecordBatch::try_new(fields, columns).unwrap(), &moments, 10)
}

#[test]
fn the_first_row_leaves_when_the_watermark_has_passed_it() {
    let feed = keyed(&[
        (1, Some(20)),
        (1, Some(15)),
        (2, None),
        (1, Some(30)), // the watermark comes to 20
        (2, Some(5)),
        (1, Some(3)),
        (2, Some(40)),
        (2, Some(35)),
    ]);
    let expected = Seen {
        rows: vec!["1|15".to_owned(), "2|35".to_owned()],
        late: vec!["2|5 at 5 after 20".to_owned()],
        rejected: vec!["event time `ts` is null".to_owned()],
    };
    for size in SIZES {
        assert_eq!(whole(&mut first_rows(Some(1)), &feed, size), expected, "{size}");
    }
    for half in 0..feed.len() {
        assert_eq!(resumed(|| first_rows(Some(1)), &feed, half), expected, "{half}");
        let shared = split(|| first_rows(Some(1)), &feed, half, by_key(vec![0]));
        assert_eq!(shared.sorted(), expected, "{half}");
    }
}

#[test]
fn by_arrival_the_first_row_leaves_at_once() {
    let feed = keyed(&[(1, Some(20)), (1, Some(15)), (2, None)]);
    let mut out = Output::default();
    first_rows(None).on_batch(0, feed.batch(0, 3), &mut out).unwrap();
    assert_eq!(Seen::take(&mut out).rows, ["1|20", "2|null"]);
}
