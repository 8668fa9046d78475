//! Rows of a feed that nobody follows yet.

use std::collections::{BTreeMap, VecDeque};

use arrow::array::{Array, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use nowcast_engine::{Epoch, Result};

use crate::feed::{RING_BYTES_MAX, RING_ROWS_MAX};

/// Batches that are kept apart: one of few rows takes much more than its rows.
const BATCHES_MAX: usize = 64;

/// Buffers of no more bytes than this count whole: what of them is of the rows is not worth finding out.
const SMALL_BYTES: usize = 4 << 10;

/// Bytes of buffers that a batch may hold beyond those of its rows before it is copied.
const SPARE_BYTES_MAX: usize = 64 << 10;

/// The newest rows as they came, as many as a ring holds. They are shown once somebody asks for them:
/// writing them as text would cost more than making them did.
#[derive(Default)]
pub(crate) struct Pending {
    /// Of the rows that were found to be ones that can be shown.
    pub checked: Option<SchemaRef>,
    batches: VecDeque<Kept>,
    rows: usize,
    bytes: usize,
    /// How many batches were left when they were put together last: those of different epochs stay apart.
    joined: usize,
    /// Rows in front of them that will not be shown.
    passed_over: BTreeMap<Epoch, u64>,
}

struct Kept {
    epoch: Epoch,
    batch: RecordBatch,
    bytes: usize,
}

impl Kept {
    fn new(epoch: Epoch, batch: RecordBatch) -> Result<Self> {
        let bytes = held(&batch)?;
        Ok(Self { epoch, batch, bytes })
    }
}

/// What is taken out of it, in order.
pub(crate) enum Taken {
    PassedOver(u64),
    Rows(RecordBatch),
}

impl Pending {
    pub fn push(&mut self, epoch: Epoch, batch: &RecordBatch) -> Result<()> {
        let kept = Kept::new(epoch, self.cut(epoch, batch)?)?;
        self.rows += kept.batch.num_rows();
        self.bytes += kept.bytes;
        self.batches.push_back(kept);
        while self.batches.len() > 1
            && (self.rows - self.batches[0].batch.num_rows() >= RING_ROWS_MAX
                || self.bytes > RING_BYTES_MAX)
        {
            self.pass_over_first();
        }
        match self.batches.len() > BATCHES_MAX.max(2 * self.joined) {
            true => self.join(),
            false => Ok(()),
        }
    }

    /// The last rows of a batch that is too large, and no more of its buffers than its rows take.
    fn cut(&mut self, epoch: Epoch, batch: &RecordBatch) -> Result<RecordBatch> {
        let (rows, held) = (batch.num_rows(), batch.get_array_memory_size());
        if rows <= RING_ROWS_MAX && held <= SMALL_BYTES {
            return Ok(batch.clone());
        }
        let bytes = bytes(batch)?;
        let fitting = (rows as u128 * RING_BYTES_MAX as u128 / bytes.max(1) as u128) as usize;
        let kept = rows.min(RING_ROWS_MAX).min(fitting.max(1));
        if kept == rows && held <= 2 * bytes + SPARE_BYTES_MAX {
            return Ok(batch.clone());
        }
        if kept < rows {
            while !self.batches.is_empty() {
                self.pass_over_first();
            }
            *self.passed_over.entry(epoch).or_default() += (rows - kept) as u64;
        }
        let last = UInt64Array::from_iter_values((rows - kept) as u64..rows as u64);
        Ok(take_record_batch(batch, &last)?)
    }

    fn pass_over_first(&mut self) {
        if let Some(Kept { epoch, batch, bytes }) = self.batches.pop_front() {
            self.rows -= batch.num_rows();
            self.bytes -= bytes;
            *self.passed_over.entry(epoch).or_default() += batch.num_rows() as u64;
        }
    }

    /// Puts batches together.
    fn join(&mut self) -> Result<()> {
        let mut groups: Vec<(Epoch, usize, Vec<RecordBatch>)> = vec![];
        for Kept { epoch, batch, .. } in self.batches.drain(..) {
            let rows = batch.num_rows();
            match groups.last_mut() {
                // Of one size, so that a row is copied a few times and not with each batch.
                Some((of, all, group)) if *of == epoch && *all <= rows * 2 => {
                    *all += rows;
                    group.push(batch);
                }
                _ => groups.push((epoch, rows, vec![batch])),
            }
        }
        for (epoch, _, group) in groups {
            let batch = match group.as_slice() {
                [one] => one.clone(),
                several => concat_batches(&several[0].schema(), several)?,
            };
            self.batches.push_back(Kept::new(epoch, batch)?);
        }
        self.bytes = self.batches.iter().map(|kept| kept.bytes).sum();
        self.joined = self.batches.len();
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
        passed_over.chain(batches.into_iter().map(|kept| (kept.epoch, Taken::Rows(kept.batch))))
    }
}

/// Bytes that a batch counts for: of a small one those of its buffers, which are known at no cost.
fn held(batch: &RecordBatch) -> Result<usize> {
    match batch.get_array_memory_size() {
        held if held <= SMALL_BYTES => Ok(held),
        _ => bytes(batch),
    }
}

/// Bytes that the rows take.
fn bytes(batch: &RecordBatch) -> Result<usize> {
    let sizes = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size());
    Ok(sizes.sum::<std::result::Result<usize, _>>()?)
}
