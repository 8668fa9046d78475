//! Watermarks at the source: one running maximum a split, their minimum for the whole source.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, Int64Array};

use crate::batch::Batch;
use crate::error::Result;
use crate::evaluate::kept_indices;
use crate::graph::WatermarkStrategy;
use crate::time::{Millis, TIME_MAX, TIME_MIN, to_millis};

/// How far a source has come in event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The least watermark of the splits that are not idle.
    At(Millis),
    /// All splits are idle: whoever waits for this source should not.
    Idle,
}

#[derive(Debug, Clone, Copy)]
struct Split {
    bound: Millis,
    idle: bool,
}

/// The watermarks of the splits that one source instance reads.
pub struct Watermarks {
    strategy: Option<WatermarkStrategy>,
    splits: BTreeMap<Arc<str>, Split>,
}

impl Watermarks {
    pub fn new(strategy: Option<WatermarkStrategy>, splits: Vec<Arc<str>>) -> Self {
        let fresh = Split { bound: TIME_MIN, idle: false };
        Self { strategy, splits: splits.into_iter().map(|split| (split, fresh)).collect() }
    }

    /// Goes on where a checkpoint left off; splits read elsewhere now are passed over.
    pub fn restore(&mut self, bounds: &BTreeMap<String, Millis>) {
        for (split, state) in &mut self.splits {
            if let Some(bound) = bounds.get(split.as_ref()) {
                state.bound = *bound;
            }
        }
    }

    /// The running maximum of each split, for the checkpoint.
    pub fn bounds(&self) -> BTreeMap<String, Millis> {
        self.splits.iter().map(|(split, state)| (split.to_string(), state.bound)).collect()
    }

    /// Adds to each row the watermark of its split just before it. Rows without an event time are
    /// returned apart: `(position, reason)`.
    pub fn assign(
        &mut self,
        split: &Arc<str>,
        batch: Batch,
    ) -> Result<(Batch, Vec<(usize, String)>)> {
        let fresh = Split { bound: TIME_MIN, idle: false };
        let state = self.splits.entry(Arc::clone(split)).or_insert(fresh);
        state.idle = false;
        let Some(strategy) = &self.strategy else { return Ok((batch, vec![])) };
        let times = to_millis(batch.column(strategy.column))?;
        let mut rejected = vec![];
        let batch = match times.null_count() {
            0 => batch,
            _ => {
                let name = batch.schema().field(strategy.column).name().clone();
                let null = (0..times.len()).filter(|row| times.is_null(*row));
                rejected.extend(null.map(|row| (row, format!("event time `{name}` is null"))));
                batch.take(&kept_indices(batch.num_rows(), &rejected))?
            }
        };
        let bounds = to_millis(&strategy.bound.evaluate(batch.rows())?)?;
        let mut running = state.bound;
        let mut before = Vec::with_capacity(batch.num_rows());
        for bound in &bounds {
            before.push(running);
            running = running.max(bound.unwrap_or(TIME_MIN));
        }
        state.bound = running;
        Ok((batch.with_bounds(Some(Int64Array::from(before))), rejected))
    }

    pub fn set_idle(&mut self, split: &Arc<str>) {
        if let Some(state) = self.splits.get_mut(split) {
            state.idle = true;
        }
    }

    pub fn finish(&mut self, split: &Arc<str>) {
        if let Some(state) = self.splits.get_mut(split) {
            *state = Split { bound: TIME_MAX, idle: false };
        }
    }

    /// The running maximum of a split, and whether it is idle.
    pub fn split(&self, split: &str) -> Option<(Millis, bool)> {
        self.splits.get(split).map(|split| (split.bound, split.idle))
    }

    pub fn progress(&self) -> Progress {
        let live = self.splits.values().filter(|split| !split.idle);
        match live.map(|split| split.bound).min() {
            Some(bound) => Progress::At(bound),
            None => Progress::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};

    use super::*;
    use crate::evaluate::ColumnAt;

    fn rows(times: &[Option<i64>]) -> Batch {
        let times: ArrayRef = Arc::new(Int64Array::from(times.to_vec()));
        Batch::new(RecordBatch::try_from_iter_with_nullable([("ts", times, true)]).unwrap())
    }

    fn watermarks(splits: &[&str]) -> Watermarks {
        let strategy = WatermarkStrategy { column: 0, bound: Arc::new(ColumnAt(0)) };
        Watermarks::new(Some(strategy), splits.iter().map(|split| (*split).into()).collect())
    }

    #[test]
    fn a_row_carries_the_watermark_before_it_in_any_batch_size() {
        let whole = [Some(5), Some(3), Some(9), Some(7)];
        let mut at_once = watermarks(&["a"]);
        let (batch, _) = at_once.assign(&"a".into(), rows(&whole)).unwrap();
        let bounds = batch.bounds().unwrap().values().to_vec();
        assert_eq!(bounds, [TIME_MIN, 5, 5, 9]);
        let mut singly = watermarks(&["a"]);
        for (time, bound) in whole.iter().zip(bounds) {
            let (batch, _) = singly.assign(&"a".into(), rows(&[*time])).unwrap();
            assert_eq!(batch.bounds().unwrap().values(), &[bound]);
        }
    }

    #[test]
    fn a_silent_split_holds_back_until_it_is_idle_or_ends() {
        let mut marks = watermarks(&["a", "b"]);
        marks.assign(&"a".into(), rows(&[Some(10)])).unwrap();
        assert_eq!(marks.progress(), Progress::At(TIME_MIN));
        marks.set_idle(&"b".into());
        assert_eq!(marks.progress(), Progress::At(10));
        marks.assign(&"b".into(), rows(&[Some(4)])).unwrap();
        assert_eq!(marks.progress(), Progress::At(4));
        marks.finish(&"b".into());
        assert_eq!(marks.progress(), Progress::At(10));
        marks.set_idle(&"a".into());
        marks.set_idle(&"b".into());
        assert_eq!(marks.progress(), Progress::Idle);
    }

    #[test]
    fn a_row_without_event_time_is_set_aside_alone() {
        let mut marks = watermarks(&["a"]);
        let (batch, rejected) = marks.assign(&"a".into(), rows(&[Some(1), None, Some(2)])).unwrap();
        assert_eq!(batch.num_rows(), 2);
        assert_eq!(rejected, [(1, "event time `ts` is null".to_owned())]);
    }
}
