//! A log with transactions, as a broker keeps it: one transaction for all tables of a job.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::chance::Chance;
use super::rows_of;
use crate::aside::DeadLetter;
use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::operator::Epoch;
use crate::sink::{ChangelogMode, JobRun, Sink, SinkContext, SinkFactory};

/// How many commits there are to one that fails.
const FAILS: usize = 12;

/// How many writes there are to one that fails.
const WRITE_FAILS: usize = 300;

/// A row of a topic.
pub(super) type Row = (&'static str, Vec<i64>);

#[derive(Clone)]
pub(super) struct Log {
    kept: Arc<Mutex<Kept>>,
    chance: Chance,
}

#[derive(Default)]
struct Kept {
    /// The run that may write.
    run: Option<u64>,
    open: Vec<Row>,
    committed: Vec<Row>,
    mark: Epoch,
    /// A commit that is still on its way.
    sent: Option<(u64, Epoch)>,
}

impl Kept {
    /// Carries out a commit, if it is of the run that may write.
    fn commit(&mut self, run: u64, epoch: Epoch) -> bool {
        if self.run != Some(run) {
            return false;
        }
        if epoch > self.mark {
            let open = std::mem::take(&mut self.open);
            self.committed.extend(open);
            self.mark = epoch;
        }
        true
    }
}

fn fenced() -> Error {
    Error::outside("another run of this job has taken over")
}

impl Log {
    pub fn new(chance: Chance) -> Self {
        Self { kept: Arc::default(), chance }
    }

    /// The table of one topic.
    pub fn topic(&self, name: &'static str) -> Topic {
        Topic { name, log: self.clone(), run: Arc::default() }
    }

    /// The rows that a reader of committed ones sees.
    pub fn committed(&self) -> Vec<Row> {
        self.kept().committed.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A table; each run has its own.
pub(super) struct Topic {
    name: &'static str,
    log: Log,
    run: Arc<Mutex<u64>>,
}

struct Writer {
    topic: &'static str,
    log: Log,
    run: u64,
}

#[async_trait]
impl SinkFactory for Topic {
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Append
    }

    async fn committed(&self, run: &JobRun) -> Result<Option<Epoch>> {
        let mut kept = self.log.kept();
        // What was under way when its run was fenced has come before, or never comes.
        if let Some((run, epoch)) = kept.sent.take()
            && self.log.chance.one_in(2)
        {
            kept.commit(run, epoch);
        }
        if kept.run != Some(run.number) {
            kept.open.clear();
            kept.run = Some(run.number);
        }
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = run.number;
        Ok(Some(kept.mark))
    }

    async fn open(&self, _context: SinkContext) -> Result<Box<dyn Sink>> {
        let run = *self.run.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(Writer { topic: self.name, log: self.log.clone(), run }))
    }
}

#[async_trait]
impl Sink for Writer {
    async fn write(&mut self, batch: &Batch, _rejected: &mut Vec<DeadLetter>) -> Result<()> {
        self.log.chance.delay().await;
        if self.log.chance.fault("log write failed", WRITE_FAILS) {
            return Err(Error::outside("broker unreachable"));
        }
        let mut kept = self.log.kept();
        if kept.run != Some(self.run) {
            return Err(fenced());
        }
        kept.open.extend(rows_of(batch).into_iter().map(|row| (self.topic, row)));
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    async fn commit(&mut self, epoch: Epoch) -> Result<()> {
        let chance = self.log.chance.clone();
        self.log.kept().sent = Some((self.run, epoch));
        chance.delay().await;
        if chance.fault("commit refused", FAILS) {
            self.log.kept().sent = None;
            return Err(Error::outside("not committed"));
        }
        let done = {
            let mut kept = self.log.kept();
            kept.sent = None;
            kept.commit(self.run, epoch)
        };
        chance.note(format_args!("commit {} {epoch}: {done}", self.topic));
        chance.delay().await;
        match done {
            false => Err(fenced()),
            true if chance.fault("commit's answer lost", FAILS) => {
                Err(Error::outside("committed, but nobody heard of it"))
            }
            true => Ok(()),
        }
    }

    fn waits_for_commit(&self) -> bool {
        true
    }
}
