//! From a thread that reads and decodes to the worker that awaits: a bounded queue of events.

use std::sync::Arc;

use nowcast_engine::{Error, Position, Result, SourceEvent};
use tokio::sync::mpsc;

/// Batches that wait between a reader and its worker: one being taken, one ready, two being made.
/// When they are full the reader stops reading.
const EVENTS_MAX: usize = 4;

/// The reader's end.
pub struct Hands {
    sender: mpsc::Sender<Result<Handed>>,
}

struct Handed {
    event: SourceEvent,
    /// The split that it advances, by index, and the position behind it.
    advanced: Option<(usize, i64)>,
}

/// The worker has gone: the reader can stop.
pub struct Gone;

impl Hands {
    /// Waits while the queue is full.
    pub fn give(&self, event: SourceEvent, advanced: Option<(usize, i64)>) -> Result<(), Gone> {
        self.sender.blocking_send(Ok(Handed { event, advanced })).map_err(|_| Gone)
    }

    /// The last thing to give.
    pub fn fail(self, error: Error) {
        // Without a worker nobody is left to be told.
        let _ = self.sender.blocking_send(Err(error));
    }

    pub fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }
}

/// The worker's end.
pub struct Handover {
    receiver: mpsc::Receiver<Result<Handed>>,
    splits: Vec<Arc<str>>,
    offsets: Vec<i64>,
    ended: bool,
}

impl Handover {
    /// For splits read from these positions on.
    pub fn new(splits: Vec<(Arc<str>, i64)>) -> (Hands, Self) {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        let (splits, offsets) = splits.into_iter().unzip();
        (Hands { sender }, Self { receiver, splits, offsets, ended: false })
    }

    pub fn splits(&self) -> Vec<Arc<str>> {
        self.splits.clone()
    }

    /// Cancel-safe: an event is taken together with its position, without waiting in between.
    pub async fn next(&mut self) -> Result<SourceEvent> {
        if self.ended {
            return Ok(SourceEvent::End);
        }
        let handed = self.receiver.recv().await;
        let handed = handed.unwrap_or_else(|| Err(Error::bug("a source's reader has died")))?;
        if let Some((split, offset)) = handed.advanced {
            self.offsets[split] = offset;
        }
        self.ended = matches!(handed.event, SourceEvent::End);
        Ok(handed.event)
    }

    pub fn positions(&self) -> Vec<Position> {
        let splits = self.splits.iter().zip(&self.offsets);
        splits
            .map(|(split, offset)| Position { split: split.to_string(), offset: *offset })
            .collect()
    }
}
