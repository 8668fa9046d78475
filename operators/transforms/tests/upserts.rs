//! Rows of a key that replace each other: behind a table of upserts, and before a table with a key.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use common::*;
use nowcast_engine::{Batch, Operator, Output, Time};
use nowcast_transforms::*;

fn fields() -> [(&'static str, DataType); 2] {
    ["k", "v"].map(|name| (name, DataType::Int64))
}

/// Key, value, weight.
fn batch(changes: &[(i64, Option<i64>, i64)]) -> Batch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(changes.iter().map(|change| change.0))),
        Arc::new(Int64Array::from_iter(changes.iter().map(|change| change.1))),
    ];
    let weights = Int64Array::from_iter_values(changes.iter().map(|change| change.2));
    let bounds = Int64Array::from_iter_values(0..changes.len() as i64);
    let rows = RecordBatch::try_new(schema(&fields()), columns).unwrap();
    Batch::new(rows).with_weights(Some(weights)).with_bounds(Some(bounds))
}

fn put_out(out: &mut Output) -> Vec<String> {
    let lines = |batch: &Batch| -> Vec<String> {
        let weight = |row| batch.weights().map_or(1, |weights| weights.value(row));
        let rows = text(batch.rows()).into_iter().enumerate();
        rows.map(|(row, line)| format!("{:+} {line}", weight(row))).collect()
    };
    out.take_batches().iter().flat_map(lines).collect()
}

fn normalize(ttl_ms: Option<i64>) -> ChangelogNormalize {
    let spec = ChangelogNormalizeSpec { keys: vec![0], ttl_ms, schema: schema(&fields()) };
    ChangelogNormalize::new(spec).unwrap()
}

#[test]
fn changes_of_a_key_are_told_with_whole_rows() {
    let changes = [
        (1, Some(10), 1),
        (2, Some(20), 1),
        (1, Some(11), 1),
        (1, Some(11), 1), // the same again
        (2, None, -1),
        (3, None, -1), // never there
        (2, Some(21), 1),
        (1, None, 1), // a row with a null is a row
    ];
    let expected =
        ["+1 1|10", "+1 2|20", "-1 1|10", "+1 1|11", "-1 2|20", "+1 2|21", "-1 1|11", "+1 1|null"];
    for size in SIZES {
        let mut operator = normalize(None);
        let mut out = Output::default();
        for part in changes.chunks(size) {
            operator.on_batch(0, batch(part), &mut out).unwrap();
            let saved = operator.save(0).unwrap();
            operator = normalize(None);
            operator.load(saved).unwrap();
        }
        assert_eq!(put_out(&mut out), expected, "{size}");
    }
}

#[test]
fn a_change_keeps_the_bound_of_its_row() {
    let mut out = Output::default();
    let changes = [(1, Some(10), 1), (2, None, -1), (1, Some(11), 1)];
    normalize(None).on_batch(0, batch(&changes), &mut out).unwrap();
    assert_eq!(out.take_batches()[0].bounds().unwrap().values(), &[0, 2, 2]);
}

#[test]
fn a_quiet_key_is_forgotten() {
    let mut operator = normalize(Some(100));
    let mut out = Output::default();
    operator.on_time(Time::Processing(0), &mut out).unwrap();
    operator.on_batch(0, batch(&[(1, Some(10), 1)]), &mut out).unwrap();
    operator.on_time(Time::Processing(100), &mut out).unwrap();
    operator.on_batch(0, batch(&[(1, Some(11), 1)]), &mut out).unwrap();
    assert_eq!(put_out(&mut out), ["+1 1|10", "+1 1|11"]);
}

fn materialize(written: Written) -> UpsertMaterialize {
    let spec = UpsertMaterializeSpec {
        keys: vec![0],
        written,
        table: "out".into(),
        ttl_ms: None,
        schema: schema(&fields()),
    };
    UpsertMaterialize::new(spec).unwrap()
}

#[test]
fn several_rows_of_a_key_are_an_error_where_one_alone_may_stand() {
    let mut operator = materialize(Written::Only);
    let mut out = Output::default();
    operator.on_batch(0, batch(&[(1, Some(10), 1)]), &mut out).unwrap();
    operator.on_batch(0, batch(&[(1, Some(11), 1)]), &mut out).unwrap();
    operator.on_time(Time::Processing(1), &mut out).unwrap();
    operator.on_batch(0, batch(&[(1, Some(10), -1)]), &mut out).unwrap();
    operator.on_time(Time::Event(1), &mut out).unwrap();
    assert_eq!(put_out(&mut out), ["+1 1|10", "-1 1|10", "+1 1|11"]);
    operator.save(0).unwrap();
    let error = "table \"out\": several rows have the primary key {\"k\":1}, and the statement says \
                 ON CONFLICT DO ERROR";
    operator.on_batch(0, batch(&[(1, Some(12), 1)]), &mut out).unwrap();
    assert_eq!(operator.save(0).unwrap_err().to_string(), error);
    operator.on_batch(0, batch(&[(1, Some(13), 1)]), &mut out).unwrap();
    assert_eq!(operator.on_time(Time::Event(2), &mut out).unwrap_err().to_string(), error);
}

#[test]
fn one_of_the_standing_rows_of_a_key_is_written() {
    let changes = [
        (1, Some(10), 1),
        (1, Some(11), 1),
        (1, Some(12), 1),
        (1, Some(11), -1),
        (1, Some(12), -1),
        (1, Some(99), -1), // does not stand
        (1, Some(10), -1),
    ];
    let last =
        ["+1 1|10", "-1 1|10", "+1 1|11", "-1 1|11", "+1 1|12", "-1 1|12", "+1 1|10", "-1 1|10"];
    let first = ["+1 1|10", "-1 1|10"];
    for (written, expected) in [(Written::Last, &last[..]), (Written::First, &first[..])] {
        let mut operator = materialize(written);
        let mut out = Output::default();
        for change in changes {
            operator.on_batch(0, batch(&[change]), &mut out).unwrap();
            let saved = operator.save(0).unwrap();
            operator = materialize(written);
            operator.load(saved).unwrap();
        }
        assert_eq!(put_out(&mut out), expected, "{written:?}");
        // In one batch nothing is left.
        materialize(written).on_batch(0, batch(&changes), &mut out).unwrap();
        assert_eq!(put_out(&mut out), [""; 0]);
        materialize(written).on_batch(0, batch(&changes[..3]), &mut out).unwrap();
        let stands = if written == Written::Last { "+1 1|12" } else { "+1 1|10" };
        assert_eq!(put_out(&mut out), [stands]);
    }
}
