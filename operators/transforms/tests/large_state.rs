//! State that is larger than a column of texts has room for. By hand, for it takes 5 GB and a minute:
//! `cargo test -p nowcast-transforms --test large_state -- --ignored`.
#![allow(clippy::unwrap_used, reason = "a test stops at the first error")]

mod common;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use common::*;
use nowcast_engine::{Batch, Operator, Output};
use nowcast_transforms::*;

const GROUPS: i64 = 60_000;
const TEXTS: i64 = 100;
const TEXT_BYTES: usize = 400;

/// Few long texts that all groups share: 2.4 GB when each group saves its own.
#[test]
#[ignore = "takes 5 GB"]
fn more_than_two_gigabytes_of_distinct_texts_are_saved_and_restored() {
    let input = schema(&[("k", DataType::Int64), ("text", DataType::Utf8)]);
    let spec = GroupAggregateSpec {
        keys: vec![0],
        aggregates: vec![AggregateCall {
            function: AggregateFunction::Count,
            args: vec![1],
            distinct: true,
            filter: None,
            output: DataType::Int64,
        }],
        retracts: false,
        ttl_ms: None,
        input_schema: Arc::clone(&input),
        schema: schema(&[("k", DataType::Int64), ("n", DataType::Int64)]),
    };
    let mut operator = GroupAggregate::new(spec.clone()).unwrap();
    for text in 0..TEXTS {
        let text = format!("{text:0>TEXT_BYTES$}");
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(0..GROUPS)),
            Arc::new(StringArray::from_iter_values((0..GROUPS).map(|_| &text))),
        ];
        let rows = RecordBatch::try_new(Arc::clone(&input), columns).unwrap();
        operator.on_batch(0, Batch::new(rows), &mut Output::default()).unwrap();
    }
    let saved = operator.save(0).unwrap();
    let bytes: usize = saved.iter().map(|table| table.rows.get_array_memory_size()).sum();
    assert!(bytes > 2 << 30, "{bytes} bytes");
    println!("{bytes} bytes of state in {} pieces", saved.len());
    let mut restored = GroupAggregate::new(spec).unwrap();
    restored.load(saved).unwrap();
    assert_eq!(restored.state_bytes(), operator.state_bytes());
}
