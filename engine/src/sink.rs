//! The contract of sinks: rows out.

use async_trait::async_trait;

use crate::aside::DeadLetter;
use crate::batch::Batch;
use crate::error::Result;
use crate::operator::Epoch;

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

    /// All rows written so far belong to the checkpoint of `epoch`, rows written later do not. As
    /// [`Sink::flush`]; a sink that keeps rows back until their checkpoint is complete ends a part
    /// here.
    async fn prepare(&mut self, _epoch: Epoch) -> Result<()> {
        self.flush().await
    }

    /// All input has ended: as [`Sink::flush`], and nothing that was written waits for a commit, for
    /// none follows.
    async fn close(&mut self) -> Result<()> {
        self.flush().await
    }

    /// The checkpoint of `epoch` is complete and will be the one to restart from.
    async fn commit(&mut self, _epoch: Epoch) -> Result<()> {
        Ok(())
    }
}

/// What a sink is opened with.
#[derive(Debug, Clone)]
pub struct SinkContext {
    /// Name of the job, unique within its stores.
    pub job: String,
    pub worker: usize,
    pub workers: usize,
    /// The epoch the job was restored from; 0 at the first start.
    pub restored: Epoch,
}

/// A table that can be written: made by the planner from `CREATE TABLE`, opened by each worker.
#[async_trait]
pub trait SinkFactory: Send + Sync {
    fn changelog_mode(&self) -> ChangelogMode;

    /// Connects and checks. Errors name the table and what is wrong.
    async fn open(&self, context: SinkContext) -> Result<Box<dyn Sink>>;
}
