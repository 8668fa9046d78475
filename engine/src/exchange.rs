//! Between workers: rows change owner by key group, through bounded queues that never block a turn.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::UInt32Array;
use arrow::datatypes::Schema;
use tokio::sync::mpsc;

use crate::batch::Batch;
use crate::error::{Error, Result};
use crate::graph::NodeId;
use crate::keys::{KeyCodec, key_group, owner};
use crate::operator::Epoch;
use crate::time::Millis;

/// Elements a queue between two workers, or to a sink, holds. Beyond it the sender keeps them and
/// reads no more sources until the queue has room: small, since each holds up to `rows_max` rows.
pub const QUEUE_ELEMENTS: usize = 16;

/// What flows along an edge.
#[derive(Debug, Clone)]
pub enum Element {
    Rows(Batch),
    Watermark(Millis),
    Idle,
    Barrier(Epoch),
    End,
}

/// An element on its way to another worker's copy of `node`.
#[derive(Debug)]
pub struct Message {
    pub node: NodeId,
    pub channel: usize,
    pub element: Element,
}

/// Splits batches by the owner of each row's key.
pub struct Partitioner {
    columns: Vec<usize>,
    codec: KeyCodec,
    workers: usize,
}

impl Partitioner {
    pub fn new(schema: &Arc<Schema>, columns: &[usize], workers: usize) -> Result<Self> {
        let types: Vec<_> =
            columns.iter().map(|column| schema.field(*column).data_type().clone()).collect();
        Ok(Self { columns: columns.to_vec(), codec: KeyCodec::new(&types)?, workers })
    }

    /// One batch a worker, in its order of rows; some may be empty.
    pub fn split(&self, batch: &Batch) -> Result<Vec<Batch>> {
        let keys = self.codec.hashed(&batch.columns(&self.columns), batch.num_rows())?;
        let mut rows = vec![Vec::with_capacity(batch.num_rows()); self.workers];
        for (row, hash) in keys.hashes().iter().enumerate() {
            rows[owner(key_group(*hash), self.workers)].push(row as u32);
        }
        rows.into_iter().map(|rows| batch.take(&UInt32Array::from(rows))).collect()
    }
}

/// The sending end of a bounded queue. What does not fit waits here; the sender goes on with the
/// turn but takes no new input while [`Outbox::is_full`], so what waits is bounded by one turn.
pub struct Outbox<T> {
    sender: mpsc::Sender<T>,
    waiting: VecDeque<T>,
}

impl<T> Outbox<T> {
    pub fn new(sender: mpsc::Sender<T>) -> Self {
        Self { sender, waiting: VecDeque::new() }
    }

    pub fn push(&mut self, item: T) -> Result<()> {
        if !self.waiting.is_empty() {
            self.waiting.push_back(item);
            return Ok(());
        }
        match self.sender.try_send(item) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(item)) => {
                self.waiting.push_back(item);
                Ok(())
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(closed()),
        }
    }

    pub fn is_full(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Moves what waits into the queue as room appears; returns when nothing waits. Cancel-safe.
    pub async fn drain(&mut self) -> Result<()> {
        while !self.waiting.is_empty() {
            let permit = self.sender.reserve().await.map_err(|_| closed())?;
            if let Some(item) = self.waiting.pop_front() {
                permit.send(item);
            }
        }
        Ok(())
    }
}

fn closed() -> Error {
    Error::stopped("another part of the job has ended")
}
