//! Rows of a feed that nobody follows yet.

use std::collections::{BTreeMap, VecDeque};

use arrow::array::{Array, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use nowcast_engine::{Epoch, Result};

use crate::feed::{RING_BYTES_MAX, RING_ROWS_MAX};

/// Batches that are kept apart: one of few rows takes much more than its rows.
const BATCHES_MAX: usize = 64;

/// Bytes of buffers that a batch may hold beyond those of its rows before it is copied.
const SPARE_BYTES_MAX: usize = 64 << 10;

/// The newest rows as they came, as many as a ring holds. They are shown once somebody asks for them:
/// writing them as text would cost more than making them did.
#[derive(Default)]
pub(crate) struct Pending {
    /// Of the rows that were found to be ones that can be shown.
    pub checked: Option<SchemaRef>,
    batches: VecDeque<(Epoch, RecordBatch)>,
    rows: usize,
    bytes: usize,
    /// Rows in front of them that will not be shown.
    passed_over: BTreeMap<Epoch, u64>,
}

/// What is taken out of it, in order.
pub(crate) enum Taken {
    PassedOver(u64),
    Rows(RecordBatch),
}

impl Pending {
    pub fn push(&mut self, epoch: Epoch, batch: &RecordBatch) -> Result<()> {
        let batch = self.cut(epoch, batch)?;
        self.rows += batch.num_rows();
        self.bytes += bytes(&batch)?;
        self.batches.push_back((epoch, batch));
        while self.batches.len() > 1
            && (self.rows - self.batches[0].1.num_rows() >= RING_ROWS_MAX
                || self.bytes > RING_BYTES_MAX)
        {
            self.pass_over_first()?;
        }
        match self.batches.len() > BATCHES_MAX {
            true => self.join(),
            false => Ok(()),
        }
    }

    /// The last rows of a batch that is too large, and no more of its buffers than its rows take.
    fn cut(&mut self, epoch: Epoch, batch: &RecordBatch) -> Result<RecordBatch> {
        let (rows, bytes) = (batch.num_rows(), bytes(batch)?);
        let fitting = (rows as u128 * RING_BYTES_MAX as u128 / bytes.max(1) as u128) as usize;
        let kept = rows.min(RING_ROWS_MAX).min(fitting.max(1));
        if kept == rows && batch.get_array_memory_size() <= 2 * bytes + SPARE_BYTES_MAX {
            return Ok(batch.clone());
        }
        if kept < rows {
            while !self.batches.is_empty() {
                self.pass_over_first()?;
            }
            *self.passed_over.entry(epoch).or_default() += (rows - kept) as u64;
        }
        let last = UInt64Array::from_iter_values((rows - kept) as u64..rows as u64);
        Ok(take_record_batch(batch, &last)?)
    }

    fn pass_over_first(&mut self) -> Result<()> {
        if let Some((epoch, first)) = self.batches.pop_front() {
            self.rows -= first.num_rows();
            self.bytes -= bytes(&first)?;
            *self.passed_over.entry(epoch).or_default() += first.num_rows() as u64;
        }
        Ok(())
    }

    /// Puts batches together.
    fn join(&mut self) -> Result<()> {
        let mut joined: VecDeque<(Epoch, RecordBatch)> = VecDeque::new();
        for (epoch, batch) in &self.batches {
            match joined.back_mut() {
                // Both of one size, so that a row is copied a few times and not with each batch.
                Some((of, last)) if of == epoch && last.num_rows() <= batch.num_rows() * 2 => {
                    *last = concat_batches(&batch.schema(), [&*last, batch])?;
                }
                _ => joined.push_back((*epoch, batch.clone())),
            }
        }
        let sizes = joined.iter().map(|(_, batch)| bytes(batch));
        self.bytes = sizes.sum::<Result<usize>>()?;
        self.batches = joined;
        Ok(())
    }

    /// All there is, by epoch.
    pub fn take(&mut self) -> impl Iterator<Item = (Epoch, Taken)> + use<> {
        let checked = self.checked.take();
        let Self { batches, passed_over, .. } = std::mem::take(self);
        self.checked = checked;
        // What was passed over came before all that was not.
        let passed_over =
            passed_over.into_iter().map(|(epoch, rows)| (epoch, Taken::PassedOver(rows)));
        passed_over.chain(batches.into_iter().map(|(epoch, batch)| (epoch, Taken::Rows(batch))))
    }
}

/// Bytes that the rows take.
fn bytes(batch: &RecordBatch) -> Result<usize> {
    let sizes = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size());
    Ok(sizes.sum::<std::result::Result<usize, _>>()?)
}
