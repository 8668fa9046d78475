//! The contract of sources: rows in, from somewhere that can be read again.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::aside::DeadLetter;
use crate::error::Result;
use crate::operator::Epoch;
use crate::sink::ChangelogMode;

/// How far a split has been read. The offset means what the source says: the next Kafka offset, a
/// line number, a row number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// `clicks/3`, `part-0.csv`: stable across restarts.
    pub split: String,
    pub offset: i64,
}

/// What a source has to say.
#[derive(Debug)]
pub enum SourceEvent {
    /// Rows of one split, in its order, and where the table is a changelog the weight of each.
    /// Messages that could not be decoded are in `rejected`; they count as read.
    Rows {
        split: Arc<str>,
        rows: RecordBatch,
        weights: Option<Int64Array>,
        rejected: Vec<DeadLetter>,
    },
    /// The split has had nothing to read for the idle timeout: its watermark holds no one back
    /// until its next rows. Never sent in bounded reads.
    Idle { split: Arc<str> },
    /// The split has ended for good.
    Finished { split: Arc<str> },
    /// All splits of this instance have ended; there will be no further event.
    End,
}

/// One instance of a source, reading its share of the splits on one worker.
#[async_trait]
pub trait Source: Send {
    /// The splits this instance reads, known from the start, so that a split without rows holds the
    /// watermark back. An unbounded instance without splits is idle.
    fn splits(&self) -> Vec<Arc<str>>;

    /// The next event. Cancel-safe: a future that is dropped loses no rows. Rows are handed over as
    /// soon as there are some, at most [`SourceContext::rows_max`] at a time; it never waits to fill
    /// a batch.
    async fn next(&mut self) -> Result<SourceEvent>;

    /// How far the events returned so far reach: reading on from here repeats and skips nothing.
    fn positions(&self) -> Vec<Position>;

    /// Where the splits end outside, as far as that is known without asking; for people.
    fn ends(&self) -> Vec<Position> {
        vec![]
    }

    /// The checkpoint with these positions is complete: tell lag tools, release what is behind. It
    /// must not block; a failure is no failure of the checkpoint.
    fn commit(&mut self, _epoch: Epoch, _positions: &[Position]) {}
}

/// What a source is opened with.
#[derive(Debug, Clone)]
pub struct SourceContext {
    /// This worker, from 0, and how many there are: the splits are dealt out among them by a fixed
    /// rule.
    pub worker: usize,
    pub workers: usize,
    /// Positions to go on from, of all splits; empty at the first start. A split that is missing
    /// here is new and is read from its beginning (not from the startup mode) when others are here.
    pub positions: Vec<Position>,
    pub rows_max: usize,
    /// How long a split is quiet until it is idle; `None`: never.
    pub idle_timeout: Option<Duration>,
}

/// A table that can be read: made by the planner from `CREATE TABLE`, opened by each worker.
#[async_trait]
pub trait SourceFactory: Send + Sync {
    /// The columns of the rows, as declared: physical and metadata columns.
    fn schema(&self) -> SchemaRef;

    /// Whether the input ends by itself.
    fn bounded(&self) -> bool;

    /// Which changes the rows are. Of `Upsert`, an insert replaces the row of its primary key and a
    /// delete holds the key alone; of `Retract`, the old row of an update comes first, whole.
    fn changelog_mode(&self) -> ChangelogMode {
        ChangelogMode::Append
    }

    /// Connects and checks. Errors name the table and what is wrong.
    async fn open(&self, context: SourceContext) -> Result<Box<dyn Source>>;
}
