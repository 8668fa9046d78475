//! Checkpoints across workers: begun together, complete when all have saved and it is written.
//!
//! One that takes too long, or whose store does not take it, is given up: the job goes on, and what
//! belonged to it belongs to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::aside::{Aside, Discard};
use crate::checkpoint::{Checkpoints, Run, WorkerState, Writer};
use crate::complete::Completed;
use crate::error::{Error, ErrorKind, Result};
use crate::job::JobOptions;
use crate::operator::Epoch;
use crate::stats::JobStats;
use crate::time::Millis;
use crate::worker::{Control, Report};
use crate::world::Clock;

/// The longest pause between two tries of a checkpoint that cannot wait for the next interval: short
/// beside the time that a process has to stop, long enough for a store to breathe.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The pause after so many failures in a row.
pub(crate) fn pause(failed: u64) -> Duration {
    Duration::from_millis(5 << failed.min(10)).min(PAUSE_MAX)
}

/// How long removing what a failed checkpoint has left may take. What stays goes when a later one is
/// complete.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

struct Saving {
    epoch: Epoch,
    started: Millis,
    deadline: Instant,
    /// By worker.
    states: BTreeMap<usize, WorkerState>,
    missing: BTreeSet<usize>,
}

struct Writing {
    epoch: Epoch,
    started: Millis,
    deadline: Instant,
    /// Whether it is the one behind the end of all input.
    last: bool,
    written: BoxFuture<'static, Result<usize>>,
}

/// What became of a checkpoint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Complete(Epoch),
    /// It was given up.
    Failed {
        in_a_row: u64,
    },
    /// All workers have finished their input, and the checkpoint behind it is complete.
    Finished,
}

/// What a checkpoint may cost.
#[derive(Clone, Copy)]
struct Patience {
    timeout: Duration,
    /// Failures in a row that are borne; `None`: any number.
    tolerable: Option<u64>,
}

pub(crate) struct Coordinator {
    checkpoints: Option<Checkpoints>,
    workers: Vec<mpsc::UnboundedSender<Control>>,
    stats: Arc<JobStats>,
    clock: Arc<dyn Clock>,
    writer: Writer,
    aside: Arc<dyn Aside>,
    last: Epoch,
    /// The last number that this run has taken.
    taken: Epoch,
    run: Run,
    complete: Completed,
    patience: Patience,
    saving: Option<Saving>,
    writing: Option<Writing>,
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
        options: &JobOptions,
    ) -> Self {
        let patience = Patience {
            timeout: options.checkpoint_timeout,
            tolerable: options.tolerable_failed_checkpoints,
        };
        Self {
            checkpoints,
            workers,
            stats,
            clock,
            aside: Arc::new(Discard),
            last: begin.last,
            taken: begin.writer.generation,
            writer: begin.writer,
            run: begin.run,
            complete,
            patience,
            saving: None,
            writing: None,
            finished: BTreeMap::new(),
        }
    }

    /// What was set aside is flushed before each checkpoint.
    pub fn flushing(self, aside: Arc<dyn Aside>) -> Self {
        Self { aside, ..self }
    }

    /// Flushes what was set aside.
    pub fn flush(&self) -> BoxFuture<'static, Result<()>> {
        flush(Arc::clone(&self.aside)).boxed()
    }

    pub fn keeps_checkpoints(&self) -> bool {
        self.checkpoints.is_some()
    }

    /// Begins a checkpoint, unless one is under way or no worker is left to save.
    pub fn trigger(&mut self) {
        let live = (0..self.workers.len()).filter(|worker| !self.finished.contains_key(worker));
        let missing: BTreeSet<usize> = live.collect();
        let busy = self.saving.is_some() || self.writing.is_some();
        if busy || missing.is_empty() || self.checkpoints.is_none() {
            return;
        }
        self.last += 1;
        self.stats.checkpoint_pause_us.store(0, Ordering::Relaxed);
        for worker in &missing {
            // A worker that has gone says so by a report of its own.
            let _ = self.workers[*worker].send(Control::Trigger(self.last));
        }
        let (started, deadline) = (self.clock.now(), Instant::now() + self.patience.timeout);
        let states = BTreeMap::new();
        self.saving = Some(Saving { epoch: self.last, started, deadline, states, missing });
    }

    /// Has all workers read no more rows; the number that the first checkpoint begun after it has.
    pub fn drain(&self) -> Epoch {
        for worker in &self.workers {
            let _ = worker.send(Control::Drain);
        }
        self.last + 1
    }

    /// Asks all workers to leave at once.
    pub fn stop(&self) {
        for worker in &self.workers {
            let _ = worker.send(Control::Stop);
        }
    }

    /// Takes in what a worker says; what follows from it may be that a checkpoint is written.
    pub fn handle(&mut self, report: Report) -> Result<()> {
        match report {
            Report::Failed(error) | Report::Outgrown(error) => return Err(error),
            Report::Saved { worker, epoch, state } => {
                if let Some(saving) = self.saving.as_mut().filter(|saving| saving.epoch == epoch) {
                    saving.missing.remove(&worker);
                    saving.states.insert(worker, state);
                }
            }
            Report::Finished { worker, state } => {
                self.finished.insert(worker, state);
                if let Some(saving) = &mut self.saving {
                    saving.missing.remove(&worker);
                }
            }
        }
        self.write_what_is_saved();
        Ok(())
    }

    fn write_what_is_saved(&mut self) {
        if self.writing.is_some() {
            return;
        }
        if self.finished.len() == self.workers.len() {
            // It takes the place of a checkpoint under way, for which no sink waits any more.
            self.saving = None;
            self.write_last(Duration::ZERO);
            return;
        }
        let done = self.saving.take_if(|saving| saving.missing.is_empty());
        let Some(Saving { epoch, started, deadline, states, .. }) = done else { return };
        let written = self.write(epoch, false, states, Duration::ZERO);
        self.writing = Some(Writing { epoch, started, deadline, last: false, written });
    }

    /// The checkpoint behind the end of all input, so that a restart repeats nothing.
    fn write_last(&mut self, after: Duration) {
        self.last += u64::from(self.checkpoints.is_some());
        let (epoch, started) = (self.last, self.clock.now());
        let deadline = Instant::now() + after + self.patience.timeout;
        let written = self.write(epoch, true, BTreeMap::new(), after);
        self.writing = Some(Writing { epoch, started, deadline, last: true, written });
    }

    fn write(
        &self,
        epoch: Epoch,
        finished: bool,
        mut states: BTreeMap<usize, WorkerState>,
        after: Duration,
    ) -> BoxFuture<'static, Result<usize>> {
        let Some(checkpoints) = self.checkpoints.clone() else {
            return std::future::ready(Ok(0)).boxed();
        };
        // One that has saved, and finished while others had not saved yet, is in this checkpoint with
        // what it saved: the others' states lack what it has read since.
        for (worker, state) in &self.finished {
            let sources = state.sources.clone();
            states.entry(*worker).or_insert(WorkerState { sources, stages: vec![] });
        }
        let states: Vec<WorkerState> = states.into_values().collect();
        // The last of all may be written before the transactions of the one before it are committed.
        let (last, of) = (self.complete.last(), (self.run, self.complete.settled()));
        let (workers, writer, taken) = (self.workers.len(), self.writer.clone(), self.taken);
        let (aside, clock) = (Arc::clone(&self.aside), Arc::clone(&self.clock));
        async move {
            if !after.is_zero() {
                clock.sleep(after).await;
            }
            flush(aside).await?;
            let written = async {
                checkpoints.take(&writer, taken + 1..epoch, last).await?;
                checkpoints.write(&writer, epoch, workers, finished, of, states).await
            };
            let written = written.await;
            if written.as_ref().is_err_and(|error| error.kind() == ErrorKind::Outside) {
                // What it leaves takes room, and counts for nothing.
                let discarded = checkpoints.discard(&writer, epoch);
                let _ = tokio::time::timeout(DISCARD_TIMEOUT, discarded).await;
            }
            written
        }
        .boxed()
    }

    /// Why the last checkpoint failed.
    pub fn last_failure(&self) -> Error {
        Error::outside(self.stats.failing().error.unwrap_or_default())
    }

    /// Whether a checkpoint is being written.
    pub fn writes(&self) -> bool {
        self.writing.is_some()
    }

    /// Returns when the checkpoint under way is written, or given up because that failed or because
    /// its time is over; never where none is under way. Cancel-safe.
    pub async fn settled(&mut self) -> Result<Outcome> {
        let deadline = match (&self.writing, &self.saving) {
            (Some(writing), _) => writing.deadline,
            (None, Some(saving)) => saving.deadline,
            (None, None) => return std::future::pending().await,
        };
        let written = async {
            match &mut self.writing {
                Some(writing) => (&mut writing.written).await,
                None => std::future::pending().await,
            }
        };
        let written = tokio::time::timeout_at(deadline, written).await.unwrap_or_else(|_| {
            let timeout = self.patience.timeout;
            Err(Error::outside(format!("checkpoint: not complete within {timeout:?}")))
        });
        let (epoch, started, last) = match (self.writing.take(), self.saving.take()) {
            (Some(Writing { epoch, started, last, .. }), saving) => {
                self.saving = saving;
                (epoch, started, last)
            }
            (None, Some(Saving { epoch, started, .. })) => (epoch, started, false),
            (None, None) => return Err(Error::bug("no checkpoint is under way")),
        };
        match written {
            Ok(bytes) => Ok(self.complete(epoch, started, bytes, last)),
            Err(error) => self.give_up(epoch, last, error),
        }
    }

    fn complete(&mut self, epoch: Epoch, started: Millis, bytes: usize, last: bool) -> Outcome {
        if self.checkpoints.is_some() {
            self.taken = epoch;
            self.complete.tell(epoch);
            let took = self.clock.now().saturating_sub(started).max(0) as u64;
            self.stats.epoch.store(epoch, Ordering::Relaxed);
            self.stats.checkpoint_ms.store(took, Ordering::Relaxed);
            self.stats.checkpoint_bytes.store(bytes as u64, Ordering::Relaxed);
            let failed = self.stats.checkpoints_succeed();
            if failed > 0 {
                tracing::info!(epoch, failed, "checkpoints are complete again");
            }
        }
        if last {
            return Outcome::Finished;
        }
        self.tell(Control::Commit, epoch);
        self.write_what_is_saved();
        Outcome::Complete(epoch)
    }

    /// # Errors
    /// Where it is one failure too many, or one that another try does not mend.
    fn give_up(&mut self, epoch: Epoch, last: bool, error: Error) -> Result<Outcome> {
        let failed = self.stats.checkpoint_failed(&error);
        if error.kind() != ErrorKind::Outside {
            return Err(error);
        }
        if let Some(tolerable) = self.patience.tolerable.filter(|tolerable| failed > *tolerable) {
            return Err(error.context(format_args!(
                "{failed} checkpoints failed in a row, and \
                 'execution.checkpointing.tolerable-failed-checkpoints' = '{tolerable}'"
            )));
        }
        tracing::warn!(%error, epoch, failed, "checkpoint failed: a crash repeats what follows the last complete one");
        self.complete.give_up(epoch);
        self.tell(Control::GiveUp, epoch);
        if self.checkpoints.as_ref().is_some_and(Checkpoints::found_broken) {
            self.tell(|_| Control::SaveAll, epoch);
        }
        match last {
            true => self.write_last(pause(failed)),
            false => self.write_what_is_saved(),
        }
        Ok(Outcome::Failed { in_a_row: failed })
    }

    fn tell(&self, control: impl Fn(Epoch) -> Control, epoch: Epoch) {
        for (worker, sender) in self.workers.iter().enumerate() {
            if !self.finished.contains_key(&worker) {
                let _ = sender.send(control(epoch));
            }
        }
    }
}

async fn flush(aside: Arc<dyn Aside>) -> Result<()> {
    aside.flush().await.map_err(|error| error.context("rows set aside"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on should say where
mod tests {
    use futures::TryStreamExt;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

    use super::*;
    use crate::checkpoint::SourceState;
    use crate::complete::complete;
    use crate::graph::Graph;
    use crate::source::Position;
    use crate::testing::FixedClock;
    use crate::time::TIME_MAX;

    /// A worker that has read its split, `split`, to an offset.
    fn read(split: usize, offset: i64, watermark: Millis) -> WorkerState {
        let split = format!("split {split}");
        let source = SourceState {
            name: "events".into(),
            positions: vec![Position { split: split.clone(), offset }],
            watermarks: BTreeMap::from([(split, watermark)]),
        };
        WorkerState { sources: vec![source], stages: vec![] }
    }

    /// Of a job that has just started, with two workers.
    async fn coordinator(transactions: bool) -> (Coordinator, Checkpoints) {
        let checkpoints = Checkpoints::new(Arc::new(InMemory::new()), "job");
        let writer = Writer { by: "run".into(), generation: 1 };
        assert!(checkpoints.start(&writer, 0).await.unwrap());
        let run = Run { since: 2, transactions };
        let coordinator = Coordinator::new(
            Some(checkpoints.clone()),
            // A worker that is gone hears nothing.
            (0..2).map(|_| mpsc::unbounded_channel().0).collect(),
            JobStats::new(&Graph { nodes: vec![] }, 2),
            Arc::new(FixedClock(0)),
            Begin { writer, last: 1, restored: 0, run },
            complete(0, transactions).0,
            &JobOptions::default(),
        );
        (coordinator, checkpoints)
    }

    #[tokio::test]
    async fn a_worker_that_finishes_while_others_save_is_kept_as_it_has_saved() {
        let (mut coordinator, checkpoints) = coordinator(false).await;
        coordinator.trigger();
        for report in [
            Report::Saved { worker: 0, epoch: 2, state: read(0, 5, 50) },
            Report::Finished { worker: 0, state: read(0, 9, TIME_MAX) },
            Report::Saved { worker: 1, epoch: 2, state: read(1, 7, 70) },
        ] {
            coordinator.handle(report).unwrap();
        }
        assert_eq!(coordinator.settled().await.unwrap(), Outcome::Complete(2));
        let manifest = checkpoints.manifest(2).await.unwrap();
        let kept = &manifest.sources[0];
        let offsets: Vec<_> = kept.positions.iter().map(|at| (&*at.split, at.offset)).collect();
        assert_eq!(offsets, [("split 0", 5), ("split 1", 7)]);
        let watermarks = [("split 0".to_owned(), 50), ("split 1".to_owned(), 70)];
        assert_eq!(kept.watermarks, BTreeMap::from(watermarks));
    }

    #[tokio::test]
    async fn the_last_checkpoint_follows_none_whose_transactions_are_not_committed() {
        let (mut coordinator, checkpoints) = coordinator(true).await;
        coordinator.trigger();
        for (worker, offset) in [(0, 5), (1, 7)] {
            let state = read(worker, offset, TIME_MAX);
            coordinator.handle(Report::Saved { worker, epoch: 2, state }).unwrap();
        }
        for (worker, offset) in [(0, 5), (1, 7)] {
            let state = read(worker, offset, TIME_MAX);
            coordinator.handle(Report::Finished { worker, state }).unwrap();
        }
        assert_eq!(coordinator.settled().await.unwrap(), Outcome::Complete(2));
        // No sink has committed anything yet, and perhaps none will.
        assert_eq!(coordinator.settled().await.unwrap(), Outcome::Finished);
        assert_eq!(checkpoints.manifest(3).await.unwrap().follows, 0);
        let restored = checkpoints.latest(Some(0)).await.unwrap();
        assert!(restored.is_none(), "it begins where it began");
    }

    #[tokio::test]
    async fn a_failed_checkpoint_takes_nothing_of_another_run_with_it() {
        let store = Arc::new(InMemory::new());
        let put = async |file: &str| {
            let path = Path::from(format!("job/epoch-0000000003/{file}"));
            store.put(&path, PutPayload::from_static(b"state")).await.unwrap();
        };
        put("1-0-0-0.arrow").await;
        put("10-0-0-0.arrow").await;
        let checkpoints = Checkpoints::new(Arc::clone(&store) as _, "job");
        let writer = Writer { by: "run".into(), generation: 1 };
        checkpoints.discard(&writer, 3).await.unwrap();
        let left: Vec<_> = store.list(None).try_collect().await.unwrap();
        let left: Vec<_> = left.iter().map(|file| file.location.filename().unwrap()).collect();
        assert_eq!(left, ["10-0-0-0.arrow"]);
    }
}
