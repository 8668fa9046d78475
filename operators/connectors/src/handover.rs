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

enum Handed {
    /// With the split that it advances, by index, and the position behind it.
    Event(SourceEvent, Option<(usize, i64)>),
    /// A split that was not there before: the next index, read from this position on.
    Split(Arc<str>, i64),
}

/// The worker has gone: the reader can stop.
pub struct Gone;

impl Hands {
    /// Waits while the queue is full.
    pub fn give(&self, event: SourceEvent, advanced: Option<(usize, i64)>) -> Result<(), Gone> {
        self.sender.blocking_send(Ok(Handed::Event(event, advanced))).map_err(|_| Gone)
    }

    /// Adds a split behind the others; events may then advance it.
    pub fn add_split(&self, split: Arc<str>, position: i64) -> Result<(), Gone> {
        self.sender.blocking_send(Ok(Handed::Split(split, position))).map_err(|_| Gone)
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

    /// Nothing is taken any more; the reader hears of it when it gives the next event.
    pub fn close(&mut self) {
        self.receiver.close();
    }

    pub fn splits(&self) -> Vec<Arc<str>> {
        self.splits.clone()
    }

    /// Cancel-safe: an event is taken together with its position, without waiting in between.
    pub async fn next(&mut self) -> Result<SourceEvent> {
        while !self.ended {
            let handed = self.receiver.recv().await;
            let handed = handed.unwrap_or_else(|| Err(Error::bug("a source's reader has died")))?;
            match handed {
                Handed::Event(event, advanced) => {
                    if let Some((split, offset)) = advanced {
                        self.offsets[split] = offset;
                    }
                    self.ended = matches!(event, SourceEvent::End);
                    return Ok(event);
                }
                Handed::Split(split, position) => {
                    self.splits.push(split);
                    self.offsets.push(position);
                }
            }
        }
        Ok(SourceEvent::End)
    }

    pub fn positions(&self) -> Vec<Position> {
        let splits = self.splits.iter().zip(&self.offsets);
        splits
            .map(|(split, offset)| Position { split: split.to_string(), offset: *offset })
            .collect()
    }
}
