//! Filter and project: the rows a condition keeps, as the columns that expressions make of them.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat, prep_null_mask_filter};
use arrow::datatypes::DataType;
use nowcast_engine::evaluate::{Projection, kept_indices, stamped};
use nowcast_engine::{Batch, Error, ErrorKind, Evaluate, Operator, Output, Result};

/// Keeps the rows for which `filter` is true (not false, not null), then makes the columns of
/// `projection`. A row for which either has no value is rejected alone. A filter that reads the clock
/// comes with a projection.
pub struct Calc {
    filter: Option<Arc<dyn Evaluate>>,
    projection: Option<Projection>,
    reads_clock: bool,
    /// Whether to filter what the projection picks, and not what it picks from.
    picks: bool,
}

impl Calc {
    pub fn new(filter: Option<Arc<dyn Evaluate>>, projection: Option<Projection>) -> Self {
        let reads_clock = filter.as_ref().is_some_and(|filter| filter.reads_clock())
            || projection.as_ref().is_some_and(Projection::reads_clock);
        let picks = projection.as_ref().is_some_and(Projection::picks);
        Self { filter, projection, reads_clock, picks }
    }
}

impl Operator for Calc {
    fn on_batch(&mut self, _port: usize, batch: Batch, out: &mut Output) -> Result<()> {
        let batch = match self.reads_clock {
            true => {
                let rows = stamped(batch.rows(), out.now())?;
                batch.with_rows(rows)
            }
            false => batch,
        };
        let batch = match (&self.filter, &self.projection) {
            (Some(filter), Some(projection)) if self.picks => {
                let mask = mask(filter.as_ref(), batch.rows(), out)?;
                let picked = projection.evaluate(batch.rows())?.rows;
                out.emit(kept(batch.with_rows(picked), &mask)?);
                return Ok(());
            }
            (Some(filter), _) => {
                let mask = mask(filter.as_ref(), batch.rows(), out)?;
                kept(batch, &mask)?
            }
            (None, _) => batch,
        };
        let Some(projection) = &self.projection else {
            out.emit(batch);
            return Ok(());
        };
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let projected = projection.evaluate(batch.rows())?;
        let batch = match projected.rejected.is_empty() {
            true => batch,
            false => {
                let kept = batch.take(&kept_indices(batch.num_rows(), &projected.rejected))?;
                out.reject(batch.rows(), projected.rejected)?;
                kept
            }
        };
        out.emit(batch.with_rows(projected.rows));
        Ok(())
    }
}

fn kept(batch: Batch, mask: &BooleanArray) -> Result<Batch> {
    match mask.true_count() == batch.num_rows() {
        true => Ok(batch),
        false => batch.filter(mask),
    }
}

/// For each row whether `filter` is true. A row for which it has no value is rejected.
pub(crate) fn mask(
    filter: &dyn Evaluate,
    rows: &RecordBatch,
    out: &mut Output,
) -> Result<BooleanArray> {
    let (mask, rejected) = tested(filter, rows)?;
    out.reject(rows, rejected)?;
    Ok(mask)
}

/// For each row whether `filter` is true, and the rows for which it has no value, with why.
pub(crate) fn tested(
    filter: &dyn Evaluate,
    rows: &RecordBatch,
) -> Result<(BooleanArray, Vec<(usize, String)>)> {
    let mut masks = vec![];
    let mut rejected = vec![];
    halves(filter, rows, 0, &mut masks, &mut rejected)?;
    let mask = match masks.as_slice() {
        [] => BooleanArray::from(Vec::<bool>::new()),
        [mask] => mask.clone(),
        masks => {
            let parts: Vec<&dyn Array> = masks.iter().map(|mask| mask as &dyn Array).collect();
            concat(&parts)?.as_boolean().clone()
        }
    };
    Ok((mask, rejected))
}

/// Evaluates `filter`; where a row fails, in halves, so that the row fails alone.
fn halves(
    filter: &dyn Evaluate,
    rows: &RecordBatch,
    first: usize,
    masks: &mut Vec<BooleanArray>,
    rejected: &mut Vec<(usize, String)>,
) -> Result<()> {
    if rows.num_rows() == 0 {
        return Ok(());
    }
    match filter.evaluate(rows) {
        Ok(mask) if *mask.data_type() == DataType::Boolean => {
            let mask = mask.as_boolean();
            masks.push(match mask.null_count() {
                0 => mask.clone(),
                _ => prep_null_mask_filter(mask),
            });
        }
        Ok(other) => return Err(Error::bug(format!("a filter made {}", other.data_type()))),
        Err(error) if error.kind() != ErrorKind::Data => return Err(error),
        Err(error) if rows.num_rows() == 1 => {
            rejected.push((first, error.to_string()));
            masks.push(BooleanArray::from(vec![false]));
        }
        Err(_) => {
            let half = rows.num_rows() / 2;
            halves(filter, &rows.slice(0, half), first, masks, rejected)?;
            let rest = rows.slice(half, rows.num_rows() - half);
            halves(filter, &rest, first + half, masks, rejected)?;
        }
    }
    Ok(())
}
