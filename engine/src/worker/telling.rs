//! What a worker tells of itself besides its counters.

use std::sync::atomic::Ordering;

use super::{Runner, Worker};
use crate::stats::SplitReading;
use crate::time::{TIME_MAX, TIME_MIN};

/// Turns between two looks of a worker that is never without work; others look at each tick.
const TURNS: usize = 256;

impl Worker {
    /// Looks around now and then in a busy worker.
    pub(super) fn tell_sometimes(&self) {
        if self.turn.is_multiple_of(TURNS) {
            self.tell();
        }
    }

    /// How far each split has come, what each operator holds back.
    pub(super) fn tell(&self) {
        let worker = self.wiring.index;
        let stages = &self.wiring.stats.stages;
        let now = self.wiring.world.clock.now();
        for slot in &self.sources {
            let ends = slot.source.ends();
            for position in slot.source.positions() {
                let end = ends.iter().find(|end| end.split == position.split);
                let (bound, idle) =
                    slot.watermarks.split(&position.split).unwrap_or((TIME_MIN, false));
                stages[slot.node].set_split(SplitReading {
                    offset: position.offset,
                    end: end.map(|end| end.offset),
                    watermark: Some(bound).filter(|bound| !matches!(*bound, TIME_MIN | TIME_MAX)),
                    idle,
                    finished: bound == TIME_MAX,
                    moved_at: Some(now),
                    split: position.split,
                });
            }
        }
        for (stage, runner) in stages.iter().zip(&self.runners) {
            if let Runner::Operator(operator) = runner {
                stage.set_waiting(worker, operator.waiting());
            }
        }
        let requests = &self.wiring.stats.requests[worker];
        requests.store(self.requests as u64, Ordering::Relaxed);
    }
}
