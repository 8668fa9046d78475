//! A binary heap of runs, the one that began earliest first.
//!
//! Where several began with the same row, which of them is first follows from the heap, and decides
//! which match is found: the steps of Flink's heap (the one of Java's library) are therefore taken
//! one by one.

use super::runs::Run;

#[derive(Default)]
pub struct Queue(Vec<Run>);

impl Queue {
    /// Runs in the order that [`Queue::iter`] gave.
    pub fn restored(runs: Vec<Run>) -> Self {
        Self(runs)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn first(&self) -> Option<&Run> {
        self.0.first()
    }

    /// In the order of the heap.
    pub fn iter(&self) -> impl Iterator<Item = &Run> {
        self.0.iter()
    }

    pub fn into_runs(self) -> Vec<Run> {
        self.0
    }

    pub fn push(&mut self, run: Run) {
        self.0.push(run);
        let mut at = self.0.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.0[at].began() >= self.0[parent].began() {
                return;
            }
            self.0.swap(at, parent);
            at = parent;
        }
    }

    pub fn pop(&mut self) -> Option<Run> {
        let last = self.0.len().checked_sub(1)?;
        self.0.swap(0, last);
        let first = self.0.pop();
        self.sink(0);
        first
    }

    /// Takes out the runs that `out` names.
    pub fn remove(&mut self, out: impl Fn(&Run) -> bool) -> Vec<Run> {
        let (removed, kept): (Vec<Run>, Vec<Run>) =
            std::mem::take(&mut self.0).into_iter().partition(|run| out(run));
        self.0 = kept;
        if !removed.is_empty() {
            (0..self.0.len() / 2).rev().for_each(|at| self.sink(at));
        }
        removed
    }

    fn sink(&mut self, from: usize) {
        let mut at = from;
        while 2 * at + 1 < self.0.len() {
            let mut child = 2 * at + 1;
            if child + 1 < self.0.len() && self.0[child].began() > self.0[child + 1].began() {
                child += 1;
            }
            if self.0[at].began() <= self.0[child].began() {
                return;
            }
            self.0.swap(at, child);
            at = child;
        }
    }
}
