//! The contract of sinks: rows out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::aside::DeadLetter;
use crate::batch::Batch;
use crate::error::Result;
use crate::operator::Epoch;
use crate::time::Millis;

/// Which changes a table takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangelogMode {
    /// Inserts alone.
    Append,
    /// Inserts and deletes by primary key; an insert replaces the row of its key.
    Upsert,
    /// Any change, each as its own row.
    Retract,
}

/// One instance of a sink on one worker. It runs in a task of its own behind a bounded queue.
#[async_trait]
pub trait Sink: Send {
    /// Takes rows; they may stay in a buffer until [`Sink::flush`]. A row that cannot be encoded
    /// goes into `rejected` alone. An error of kind `Outside` ends the attempt, not the job, when
    /// the sink has used up its own retries.
    async fn write(&mut self, batch: &Batch, rejected: &mut Vec<DeadLetter>) -> Result<()>;

    /// Returns when all rows written so far have been acknowledged by the outside. Called when the
    /// queue is empty.
    async fn flush(&mut self) -> Result<()>;

    /// The watermark behind all rows written so far; `i64::MAX` at the end of all input. Called before
    /// [`Sink::prepare`].
    fn reached(&mut self, _watermark: Millis) {}

    /// All rows written so far belong to the checkpoint of `epoch`, or to a later one if that never
    /// completes; rows written later do not. As [`Sink::flush`]; a sink that keeps rows back until
    /// their checkpoint is complete ends a part here. Called also at the end of all input.
    async fn prepare(&mut self, _epoch: Epoch) -> Result<()> {
        self.flush().await
    }

    /// The checkpoint of `epoch` is complete: what was prepared for it and for earlier ones stays.
    /// A job without checkpoints calls it at its end.
    async fn commit(&mut self, _epoch: Epoch) -> Result<()> {
        Ok(())
    }

    /// Whether rows must not be written between [`Sink::prepare`] and the [`Sink::commit`] of the
    /// same epoch, since only one transaction can be open. They wait in the queue.
    fn waits_for_commit(&self) -> bool {
        false
    }
}

/// One run of a job, from its start or restart on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    /// Name of the job, unique within its stores.
    pub job: String,
    /// Unique within this process.
    pub number: u64,
}

impl JobRun {
    /// A new run.
    pub fn new(job: &str) -> Self {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        Self { job: job.to_owned(), number: RUNS.fetch_add(1, Ordering::Relaxed) }
    }
}

/// What a sink is opened with.
#[derive(Debug, Clone)]
pub struct SinkContext {
    /// Name of the job, unique within its stores.
    pub job: String,
    /// Name of the stage, unique within the job: several may write one table.
    pub stage: String,
    pub worker: usize,
    pub workers: usize,
    /// The epoch the job was restored from; 0 at the first start.
    pub restored: Epoch,
    /// The run that wrote that checkpoint; 0 if none did.
    pub restored_generation: Epoch,
    /// This run: greater than that of every earlier run of the job, 0 where it keeps no checkpoints.
    pub generation: Epoch,
    /// Whether the job keeps checkpoints. Without them all is committed at the end.
    pub keeps_checkpoints: bool,
    /// How often they begin; `None`: only when asked.
    pub checkpoint_interval: Option<Duration>,
}

impl SinkContext {
    /// Of the only worker of a job without checkpoints.
    pub fn alone(job: &str) -> Self {
        Self {
            job: job.to_owned(),
            stage: String::new(),
            worker: 0,
            workers: 1,
            restored: 0,
            restored_generation: 0,
            generation: 0,
            keeps_checkpoints: false,
            checkpoint_interval: None,
        }
    }
}

/// The last row of each key, as checkpoints keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptRows {
    /// How long a key is kept after its last change, by the wall clock; `None`: forever.
    pub ttl: Option<Duration>,
}

impl KeptRows {
    /// What the stage is called that keeps them, behind the name of the sink's stage.
    pub const STAGE: &str = "LastRows";
}

/// A table that can be written: made by the planner from `CREATE TABLE`, opened by each worker.
#[async_trait]
pub trait SinkFactory: Send + Sync {
    fn changelog_mode(&self) -> ChangelogMode;

    /// Whether the last row of each key is kept in the job's checkpoints, so that the table can be
    /// written anew from them. Of a table with a primary key.
    fn keeps_rows(&self) -> Option<KeptRows> {
        None
    }

    /// Rows that were kept, as they are written: some may be left out.
    fn as_written(&self, rows: Batch) -> Result<Batch> {
        Ok(rows)
    }

    /// The last epoch of the job that this table's transactions have committed, 0 if none; `None` for
    /// a table without transactions. What an earlier run of the job left open is aborted, and the
    /// run itself, should it still live, commits nothing more. Called before anything is restored.
    async fn committed(&self, _run: &JobRun) -> Result<Option<Epoch>> {
        Ok(None)
    }

    /// Connects and checks. Errors name the table and what is wrong.
    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>>;
}
