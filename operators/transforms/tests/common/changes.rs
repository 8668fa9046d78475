//! Rows of a key with a value to sort by, which come and go.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use nowcast_engine::{Batch, Output};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{schema, text};

/// Key, number of the row, value that is sorted by; its weight.
pub type Change = (i64, i64, Option<i64>, i64);

pub fn fields() -> Vec<(&'static str, DataType)> {
    ["k", "id", "v"].map(|name| (name, DataType::Int64)).to_vec()
}

pub fn batch(changes: &[Change]) -> Batch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(changes.iter().map(|change| change.0))),
        Arc::new(Int64Array::from_iter_values(changes.iter().map(|change| change.1))),
        Arc::new(Int64Array::from_iter(changes.iter().map(|change| change.2))),
    ];
    let weights = Int64Array::from_iter_values(changes.iter().map(|change| change.3));
    let rows = RecordBatch::try_new(schema(&fields()), columns).unwrap();
    Batch::new(rows).with_weights(Some(weights))
}

/// Rows that come with the value that `value` gives for a number, a share `goes` of them to go again.
pub fn changes(
    seed: u64,
    count: usize,
    goes: f64,
    value: impl Fn(i64, &mut ChaCha8Rng) -> Option<i64>,
) -> Vec<Change> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut standing: Vec<Change> = vec![];
    let mut changes = vec![];
    for id in 0..count as i64 {
        if !standing.is_empty() && rng.random_bool(goes) {
            let gone = standing.swap_remove(rng.random_range(0..standing.len()));
            changes.push((gone.0, gone.1, gone.2, -1));
            continue;
        }
        let value = value(id, &mut rng);
        let row = (rng.random_range(0..4), id, value, 1);
        standing.push(row);
        changes.push(row);
    }
    changes
}

/// Any of a few values, or null.
pub fn anywhere(_: i64, rng: &mut ChaCha8Rng) -> Option<i64> {
    rng.random_bool(0.9).then(|| rng.random_range(0..20))
}

/// What stands after all that was put out. Nothing is taken back that does not stand.
pub fn add(standing: &mut BTreeMap<String, i64>, out: &mut Output) {
    for batch in out.take_batches() {
        for (nth, row) in text(batch.rows()).into_iter().enumerate() {
            let count = standing.entry(row.clone()).or_default();
            *count += batch.weights().map_or(1, |weights| weights.value(nth));
            assert!(*count >= 0, "{row}");
        }
    }
    standing.retain(|_, count| *count > 0);
}
