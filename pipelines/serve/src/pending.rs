//! Rows of a feed that nobody follows yet.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, take_record_batch};
use nowcast_engine::{Epoch, Result};

use crate::feed::{RING_BYTES_MAX, RING_ROWS_MAX};

/// Batches that are kept apart: one of few rows takes much more than its rows.
const BATCHES_MAX: usize = 64;

/// The newest rows as they came, as many as a ring holds. They are shown once somebody asks for them:
/// writing them as text would cost more than making them did.
#[derive(Default)]
pub(crate) struct Pending {
    batches: VecDeque<(Epoch, RecordBatch)>,
    rows: usize,
    bytes: usize,
    /// Rows in front of them that will not be shown.
    passed_over: u64,
}

impl Pending {
    pub fn push(&mut self, epoch: Epoch, batch: &RecordBatch) -> Result<()> {
        let batch = self.cut(batch)?;
        self.rows += batch.num_rows();
        self.bytes += batch.get_array_memory_size();
        self.batches.push_back((epoch, batch));
        while let Some((_, first)) = self.batches.front()
            && self.batches.len() > 1
            && (self.rows - first.num_rows() >= RING_ROWS_MAX || self.bytes > RING_BYTES_MAX)
        {
            self.rows -= first.num_rows();
            self.bytes -= first.get_array_memory_size();
            self.passed_over += first.num_rows() as u64;
            self.batches.pop_front();
        }
        match self.batches.len() > BATCHES_MAX {
            true => self.join(),
            false => Ok(()),
        }
    }

    /// The last rows of a batch that is too large. What is left out must not be held by them.
    fn cut(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let (rows, bytes) = (batch.num_rows(), batch.get_array_memory_size());
        let fitting = (rows as u128 * RING_BYTES_MAX as u128 / bytes.max(1) as u128) as usize;
        let kept = rows.min(RING_ROWS_MAX).min(fitting.max(1));
        if kept == rows {
            return Ok(batch.clone());
        }
        self.passed_over += (rows - kept) as u64;
        let last = arrow::array::UInt64Array::from_iter_values((rows - kept) as u64..rows as u64);
        Ok(take_record_batch(batch, &last)?)
    }

    /// Puts batches together.
    fn join(&mut self) -> Result<()> {
        let mut joined: VecDeque<(Epoch, RecordBatch)> = VecDeque::new();
        for (epoch, batch) in std::mem::take(&mut self.batches) {
            match joined.back_mut() {
                // Both of one size, so that a row is copied a few times and not with each batch.
                Some((of, last)) if *of == epoch && last.num_rows() <= batch.num_rows() * 2 => {
                    *last = concat_batches(&batch.schema(), [&*last, &batch])?;
                }
                _ => joined.push_back((epoch, batch)),
            }
        }
        self.bytes = joined.iter().map(|(_, batch)| batch.get_array_memory_size()).sum();
        self.batches = joined;
        Ok(())
    }

    /// All of them in order, each batch with the number of rows before it that are not shown.
    pub fn take(&mut self) -> impl Iterator<Item = (Epoch, u64, RecordBatch)> + use<> {
        let Self { batches, mut passed_over, .. } = std::mem::take(self);
        batches
            .into_iter()
            .map(move |(epoch, batch)| (epoch, std::mem::take(&mut passed_over), batch))
    }
}
