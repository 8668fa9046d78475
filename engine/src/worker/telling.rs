//! What a worker tells of itself besides its counters.

use std::sync::atomic::Ordering;

use super::{Report, Runner, Worker};
use crate::error::{Error, Result};
use crate::stats::{JobStats, SplitReading};
use crate::time::{TIME_MAX, TIME_MIN};

/// Turns between two looks of a worker that is never without work; others look at each tick.
const TURNS: usize = 256;

impl Worker {
    /// Looks around now and then in a busy worker.
    pub(super) fn tell_sometimes(&mut self) -> Result<()> {
        match self.turn.is_multiple_of(TURNS) {
            true => self.look_around(),
            false => Ok(()),
        }
    }

    /// Tells of itself, and says once when the state of the job has outgrown its bound.
    pub(super) fn look_around(&mut self) -> Result<()> {
        self.tell();
        if self.outgrown {
            return Ok(());
        }
        match within_bound(&self.wiring.stats) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.outgrown = true;
                self.report(Report::Outgrown(error))
            }
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
                if let Some(bytes) = operator.state_bytes() {
                    stage.set_state_bytes(worker, bytes);
                }
            }
        }
        let requests = &self.wiring.stats.requests[worker];
        requests.store(self.requests as u64, Ordering::Relaxed);
    }
}

/// # Errors
/// Of the user, where the state takes more than it may: with the operator that has most of it.
pub(super) fn within_bound(stats: &JobStats) -> Result<()> {
    let bound = stats.state_bytes_max.load(Ordering::Relaxed);
    let all = stats.state_bytes();
    if bound == 0 || all <= bound {
        return Ok(());
    }
    let largest = stats.stages.iter().max_by_key(|stage| stage.state_bytes());
    let (name, most) = largest.map_or(("", 0), |stage| (&*stage.name, stage.state_bytes()));
    Err(Error::user(format!(
        "state has outgrown 'state.memory.max' = {}: it takes {}, of which operator `{name}` has {}. \
         Let it forget ('table.exec.state.ttl', a narrower window or join), or give it more",
        megabytes(bound),
        megabytes(all),
        megabytes(most)
    )))
}

/// Whole ones, as options have them.
fn megabytes(bytes: u64) -> String {
    format!("{} mb", bytes.div_ceil(1 << 20))
}
