//! A changelog in the making: rows that are taken back and rows that come, in order.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow::compute::interleave;
use arrow::compute::kernels::cmp::distinct;
use arrow::datatypes::SchemaRef;
use nowcast_engine::{Batch, Output, Result};

use crate::groups::EMIT_ROWS_MAX;

/// Whether a row of a batch is taken back.
pub(crate) fn is_deletion(batch: &Batch, row: usize) -> bool {
    batch.weights().is_some_and(|weights| weights.value(row) < 0)
}

/// What becomes of one row of the old columns, one of the new ones, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// Row among the old columns that is taken back.
    pub old: Option<usize>,
    /// Row among the new columns that comes.
    pub new: Option<usize>,
}

/// Emits the changes in order; an update is its old row, then its new one, in one batch. Updates
/// between equal rows are left out.
pub(crate) fn emit(
    changes: &[Change],
    old: &[ArrayRef],
    new: &[ArrayRef],
    schema: &SchemaRef,
    out: &mut Output,
) -> Result<()> {
    let differs = differences(changes, old, new)?;
    let mut rows: Vec<(usize, usize)> = vec![];
    let mut weights: Vec<i64> = vec![];
    for (change, differs) in changes.iter().zip(differs) {
        if !differs {
            continue;
        }
        if let Some(row) = change.old {
            rows.push((0, row));
            weights.push(-1);
        }
        if let Some(row) = change.new {
            rows.push((1, row));
            weights.push(1);
        }
        if rows.len() >= EMIT_ROWS_MAX {
            send(&std::mem::take(&mut rows), std::mem::take(&mut weights), old, new, schema, out)?;
        }
    }
    send(&rows, weights, old, new, schema, out)
}

fn send(
    rows: &[(usize, usize)],
    weights: Vec<i64>,
    old: &[ArrayRef],
    new: &[ArrayRef],
    schema: &SchemaRef,
    out: &mut Output,
) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let column =
        |(old, new): (&ArrayRef, &ArrayRef)| interleave(&[old.as_ref(), new.as_ref()], rows);
    let columns = old.iter().zip(new).map(column).collect::<std::result::Result<Vec<_>, _>>()?;
    let weights = match weights.iter().all(|weight| *weight == 1) {
        true => None,
        false => Some(Int64Array::from(weights)),
    };
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let rows = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
    out.emit(Batch::new(rows).with_weights(weights));
    Ok(())
}

/// Whether each change changes anything.
fn differences(changes: &[Change], old: &[ArrayRef], new: &[ArrayRef]) -> Result<Vec<bool>> {
    let updates: Vec<(usize, usize, usize)> = changes
        .iter()
        .enumerate()
        .filter_map(|(nth, change)| Some((nth, change.old?, change.new?)))
        .collect();
    let mut differs: Vec<bool> = changes.iter().map(|change| change.old != change.new).collect();
    for (nth, ..) in &updates {
        differs[*nth] = false;
    }
    if updates.is_empty() {
        return Ok(differs);
    }
    let indices = |of: fn(&(usize, usize, usize)) -> usize| {
        arrow::array::UInt32Array::from_iter_values(updates.iter().map(|at| of(at) as u32))
    };
    let (from, to) = (indices(|at| at.1), indices(|at| at.2));
    for (old, new) in old.iter().zip(new) {
        let (old, new) =
            (arrow::compute::take(old, &from, None)?, arrow::compute::take(new, &to, None)?);
        if old.data_type().is_nested() {
            for (at, (nth, ..)) in updates.iter().enumerate() {
                differs[*nth] |= old.slice(at, 1) != new.slice(at, 1);
            }
            continue;
        }
        let unequal = distinct(&old, &new)?;
        for (at, (nth, ..)) in updates.iter().enumerate() {
            differs[*nth] |= unequal.value(at);
        }
    }
    Ok(differs)
}
