//! Sorting the rows of a batch: where each belongs, which are late, which have no place at all.

use std::hash::Hash;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use hashbrown::HashMap;
use nowcast_engine::time::TIME_MIN;
use nowcast_engine::{Batch, Error, LateRows, Millis, Output, Result};

/// Rows of one batch by where they belong (a slice, a window, …), in order of arrival within each.
pub(crate) struct Admission<Id> {
    groups: Vec<(Id, Vec<u32>)>,
    by_id: HashMap<Id, usize>,
    last: usize,
    late: Vec<u32>,
    late_times: Vec<Millis>,
    late_watermarks: Vec<Millis>,
    rejected: Vec<(usize, String)>,
}

impl<Id: Copy + Eq + Hash> Admission<Id> {
    pub fn new() -> Self {
        Self {
            groups: vec![],
            by_id: HashMap::new(),
            last: 0,
            late: vec![],
            late_times: vec![],
            late_watermarks: vec![],
            rejected: vec![],
        }
    }

    pub fn admit(&mut self, row: usize, id: Id) {
        if self.groups.get(self.last).is_none_or(|(held, _)| *held != id) {
            let groups = &mut self.groups;
            self.last = *self.by_id.entry(id).or_insert_with(|| {
                groups.push((id, vec![]));
                groups.len() - 1
            });
        }
        self.groups[self.last].1.push(row as u32);
    }

    pub fn late(&mut self, row: usize, time: Millis, watermark: Millis) {
        self.late.push(row as u32);
        self.late_times.push(time);
        self.late_watermarks.push(watermark);
    }

    pub fn reject(&mut self, row: usize, reason: String) {
        self.rejected.push((row, reason));
    }

    /// The admitted rows alone, by where they belong.
    pub fn into_rows(self) -> impl Iterator<Item = (Id, UInt32Array)> {
        self.groups.into_iter().map(|(id, rows)| (id, UInt32Array::from(rows)))
    }

    /// Sets late and rejected rows aside; returns the positions of the others by where they belong,
    /// in the order in which each was first met.
    pub fn finish(self, batch: &Batch, out: &mut Output) -> Result<Vec<(Id, Vec<u32>)>> {
        let rows = batch.rows();
        out.reject(rows, self.rejected)?;
        if !self.late.is_empty() {
            out.late(LateRows {
                rows: take_record_batch(rows, &UInt32Array::from(self.late))?,
                times: self.late_times,
                watermarks: self.late_watermarks,
            });
        }
        Ok(self.groups)
    }
}

/// The rows at `picked` (ascending); no copy where these are all.
pub(crate) fn picked_rows(rows: &RecordBatch, picked: Vec<u32>) -> Result<RecordBatch> {
    match picked.len() == rows.num_rows() {
        true => Ok(rows.clone()),
        false => Ok(take_record_batch(rows, &UInt32Array::from(picked))?),
    }
}

/// The watermark that decides whether a row is late: its own partition's or the operator's,
/// whichever is further.
pub(crate) fn row_watermark(batch: &Batch, row: usize, event_time: Millis) -> Millis {
    let bound = batch.bounds().map_or(TIME_MIN, |bounds| bounds.value(row));
    bound.max(event_time)
}

/// # Errors
/// A bug of the planner, where the rows are a changelog.
pub(crate) fn inserts_only(batch: &Batch, what: &str) -> Result<()> {
    match batch.weights() {
        None => Ok(()),
        Some(weights) if weights.values().iter().all(|weight| *weight == 1) => Ok(()),
        Some(_) => Err(Error::bug(format!("{what}: a changelog where inserts alone are taken"))),
    }
}
