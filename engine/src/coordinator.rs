//! Checkpoints across workers: begun together, complete when all have saved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use crate::aside::{Aside, Discard};
use crate::checkpoint::{Checkpoints, Run, WorkerState, Writer};
use crate::complete::Completed;
use crate::error::Result;
use crate::operator::Epoch;
use crate::stats::JobStats;
use crate::time::Millis;
use crate::worker::{Control, Report};
use crate::world::Clock;

struct Saving {
    epoch: Epoch,
    started: Millis,
    states: Vec<WorkerState>,
    missing: BTreeSet<usize>,
}

/// What a report led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Nothing,
    /// A checkpoint is complete.
    Complete(Epoch),
    /// All workers have finished their input.
    Finished,
}

pub(crate) struct Coordinator {
    checkpoints: Option<Checkpoints>,
    workers: Vec<mpsc::UnboundedSender<Control>>,
    stats: Arc<JobStats>,
    clock: Arc<dyn Clock>,
    writer: Writer,
    aside: Arc<dyn Aside>,
    last: Epoch,
    run: Run,
    complete: Completed,
    saving: Option<Saving>,
    finished: BTreeMap<usize, WorkerState>,
}

/// Where the numbers of checkpoints go on.
#[derive(Clone)]
pub(crate) struct Begin {
    /// This run.
    pub writer: Writer,
    /// The greatest epoch that was ever begun.
    pub last: Epoch,
    /// The epoch that was restored; 0 where none was.
    pub restored: Epoch,
    pub run: Run,
}

impl Coordinator {
    pub fn new(
        checkpoints: Option<Checkpoints>,
        workers: Vec<mpsc::UnboundedSender<Control>>,
        stats: Arc<JobStats>,
        clock: Arc<dyn Clock>,
        begin: Begin,
        complete: Completed,
    ) -> Self {
        let Begin { writer, last, run, .. } = begin;
        Self {
            checkpoints,
            workers,
            stats,
            clock,
            aside: Arc::new(Discard),
            writer,
            last,
            run,
            complete,
            saving: None,
            finished: BTreeMap::new(),
        }
    }

    /// What was set aside is flushed before each checkpoint.
    pub fn flushing(self, aside: Arc<dyn Aside>) -> Self {
        Self { aside, ..self }
    }

    /// Flushes what was set aside.
    pub async fn flush(&self) -> Result<()> {
        self.aside.flush().await.map_err(|error| error.context("rows set aside"))
    }

    pub fn keeps_checkpoints(&self) -> bool {
        self.checkpoints.is_some()
    }

    /// Begins a checkpoint, unless one is under way or no worker is left to save.
    pub fn trigger(&mut self) {
        let live = (0..self.workers.len()).filter(|worker| !self.finished.contains_key(worker));
        let missing: BTreeSet<usize> = live.collect();
        if self.saving.is_some() || missing.is_empty() || self.checkpoints.is_none() {
            return;
        }
        self.last += 1;
        for worker in &missing {
            // A worker that has gone says so by a report of its own.
            let _ = self.workers[*worker].send(Control::Trigger(self.last));
        }
        let started = self.clock.now();
        self.saving = Some(Saving { epoch: self.last, started, states: vec![], missing });
    }

    /// Asks all workers to leave at once.
    pub fn stop(&self) {
        for worker in &self.workers {
            let _ = worker.send(Control::Stop);
        }
    }

    pub async fn handle(&mut self, report: Report) -> Result<Outcome> {
        match report {
            Report::Failed(error) => return Err(error),
            Report::Saved { worker, epoch, state } => {
                if let Some(saving) = self.saving.as_mut().filter(|saving| saving.epoch == epoch) {
                    saving.missing.remove(&worker);
                    saving.states.push(state);
                }
            }
            Report::Finished { worker, state } => {
                self.finished.insert(worker, state);
                if let Some(saving) = &mut self.saving {
                    saving.missing.remove(&worker);
                }
            }
        }
        if self.finished.len() == self.workers.len() {
            // It takes the place of a checkpoint under way, for which no sink waits any more.
            self.write_last().await?;
            return Ok(Outcome::Finished);
        }
        self.complete().await
    }

    async fn complete(&mut self) -> Result<Outcome> {
        let done = self.saving.take_if(|saving| saving.missing.is_empty());
        let Some(Saving { epoch, started, states, .. }) = done else { return Ok(Outcome::Nothing) };
        self.write(epoch, started, false, states).await?;
        for (worker, control) in self.workers.iter().enumerate() {
            if !self.finished.contains_key(&worker) {
                let _ = control.send(Control::Commit(epoch));
            }
        }
        Ok(Outcome::Complete(epoch))
    }

    /// The checkpoint behind the end of all input, so that a restart repeats nothing.
    async fn write_last(&mut self) -> Result<()> {
        if self.checkpoints.is_none() {
            return Ok(());
        }
        self.last += 1;
        self.write(self.last, self.clock.now(), true, vec![]).await
    }

    async fn write(
        &mut self,
        epoch: Epoch,
        started: Millis,
        finished: bool,
        mut states: Vec<WorkerState>,
    ) -> Result<()> {
        let Some(checkpoints) = &self.checkpoints else { return Ok(()) };
        for state in self.finished.values() {
            let sources = state.sources.clone();
            states.push(WorkerState { sources, stages: vec![] });
        }
        self.flush().await?;
        let of = (self.run, self.complete.last());
        let bytes = checkpoints
            .write(&self.writer, epoch, self.workers.len(), finished, of, states)
            .await?;
        self.complete.tell(epoch);
        let took = self.clock.now().saturating_sub(started).max(0) as u64;
        self.stats.epoch.store(epoch, Ordering::Relaxed);
        self.stats.checkpoint_ms.store(took, Ordering::Relaxed);
        self.stats.checkpoint_bytes.store(bytes as u64, Ordering::Relaxed);
        Ok(())
    }
}
