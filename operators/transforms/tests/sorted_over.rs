//! OVER in the order of a column that is no time, against sorting.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use common::changes::*;
use common::*;
use nowcast_engine::{Operator, Output, Time};
use nowcast_transforms::*;

/// The sum of the row numbers, with the ranks of a row, or its number.
fn spec(up_to: UpTo) -> SortedOverSpec {
    let sum = AggregateCall {
        function: AggregateFunction::Sum,
        args: vec![1],
        distinct: false,
        filter: None,
        output: DataType::Int64,
    };
    let mut functions = vec![SortedFunction::Aggregate(sum), SortedFunction::Rank];
    functions.push(match up_to {
        UpTo::Row => SortedFunction::RowNumber,
        UpTo::Peers => SortedFunction::DenseRank,
    });
    let mut output = fields();
    output.extend(["sum", "rank", "number"].map(|name| (name, DataType::Int64)));
    SortedOverSpec {
        partition: vec![0],
        order: vec![SortKey { column: 2, descending: false, nulls_first: true }],
        up_to,
        functions,
        ttl_ms: None,
        input_schema: schema(&fields()),
        schema: schema(&output),
    }
}

fn sorted(changes: &[Change], up_to: UpTo) -> BTreeMap<String, i64> {
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
        rows.sort_by_key(|row| row.2);
        for (nth, row) in rows.iter().enumerate() {
            let first = rows.iter().position(|other| other.2 == row.2).unwrap();
            let peers = rows.iter().filter(|other| other.2 == row.2).count();
            let (end, number) = match up_to {
                UpTo::Row => (nth + 1, nth + 1),
                UpTo::Peers => {
                    let mut values: Vec<_> = rows[..=first].iter().map(|row| row.2).collect();
                    values.dedup();
                    (first + peers, values.len())
                }
            };
            let sum: i64 = rows[..end].iter().map(|row| row.1).sum();
            let line = text(batch(&[*row]).rows()).remove(0);
            standing.insert(format!("{line}|{sum}|{}|{number}", first + 1), 1);
        }
    }
    standing
}

#[test]
fn the_answers_stand_as_by_sorting() {
    for (up_to, rising) in
        [(UpTo::Row, false), (UpTo::Peers, false), (UpTo::Row, true), (UpTo::Peers, true)]
    {
        let changes = match rising {
            true => changes(3, 500, 0.05, |id, _| Some(id / 5)),
            false => changes(3, 500, 0.45, anywhere),
        };
        for size in SIZES {
            let mut operator = SortedOver::new(spec(up_to)).unwrap();
            let (mut out, mut standing) = (Output::default(), BTreeMap::new());
            let mut seen = 0;
            for part in changes.chunks(size) {
                operator.on_batch(0, batch(part), &mut out).unwrap();
                add(&mut standing, &mut out);
                seen += part.len();
                if size > 1 {
                    assert_eq!(standing, sorted(&changes[..seen], up_to), "{up_to:?}");
                }
            }
            assert_eq!(standing, sorted(&changes, up_to), "{up_to:?}");
        }
    }
}

#[test]
fn two_workers_go_on_from_the_state_of_one() {
    for up_to in [UpTo::Row, UpTo::Peers] {
        let changes = changes(5, 400, 0.45, anywhere);
        let (mut out, mut standing) = (Output::default(), BTreeMap::new());
        let mut one = SortedOver::new(spec(up_to)).unwrap();
        changes[..200].chunks(7).for_each(|part| one.on_batch(0, batch(part), &mut out).unwrap());
        let saved = one.save(0).unwrap();
        let workers = by_key(vec![0])(batch(&changes).rows());
        for worker in 0..2 {
            let mut half = SortedOver::new(spec(up_to)).unwrap();
            half.load(owned(&saved, worker)).unwrap();
            let own = changes.iter().zip(&workers).skip(200).filter(|(_, of)| **of == worker);
            let own: Vec<Change> = own.map(|(change, _)| *change).collect();
            own.chunks(7).for_each(|part| half.on_batch(0, batch(part), &mut out).unwrap());
        }
        add(&mut standing, &mut out);
        assert_eq!(standing, sorted(&changes, up_to));
    }
}

#[test]
fn a_row_at_the_end_changes_no_other() {
    let mut operator = SortedOver::new(spec(UpTo::Row)).unwrap();
    let mut out = Output::default();
    operator.on_batch(0, batch(&[(0, 1, Some(5), 1), (0, 2, Some(4), 1)]), &mut out).unwrap();
    out.take_batches();
    operator.on_batch(0, batch(&[(0, 3, Some(5), 1)]), &mut out).unwrap();
    assert_eq!(Seen::take(&mut out).rows, ["0|3|5|6|2|3"]);
}

#[test]
fn a_quiet_partition_is_forgotten() {
    let mut operator =
        SortedOver::new(SortedOverSpec { ttl_ms: Some(100), ..spec(UpTo::Row) }).unwrap();
    let mut out = Output::default();
    operator.on_time(Time::Processing(0), &mut out).unwrap();
    operator.on_batch(0, batch(&[(0, 1, Some(5), 1)]), &mut out).unwrap();
    operator.on_time(Time::Processing(100), &mut out).unwrap();
    operator.on_batch(0, batch(&[(0, 1, Some(5), -1)]), &mut out).unwrap();
    operator.on_batch(0, batch(&[(0, 2, Some(7), 1)]), &mut out).unwrap();
    assert_eq!(Seen::take(&mut out).rows, ["0|1|5|1|1|1", "0|2|7|2|1|1"]);
}
