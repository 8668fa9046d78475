//! From a thread that reads and decodes to the worker that awaits: a bounded queue of events.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use nowcast_engine::{Error, Position, Result, SourceEvent};
use tokio::sync::mpsc;

/// What may wait between a reader and its worker: four full batches (one being taken, one ready, two being made), or
/// up to 64 small ones, which the worker takes together. When there is no room the reader stops reading.
const ROOM: u32 = 4 * ROOM_OF_FULL;
const ROOM_OF_FULL: u32 = 4_096;
const ROOM_OF_LEAST: u32 = ROOM / 64;

/// Bytes that take as much room as a row.
const BYTES_OF_ROW: usize = 2 << 10;

/// The reader's end.
pub struct Hands {
    sender: mpsc::UnboundedSender<Result<Handed>>,
    room: Arc<Room>,
}

enum Handed {
    /// With the room that it takes, the split that it advances, by index, and the position behind it.
    Event(SourceEvent, u32, Option<(usize, i64)>),
    /// A split that was not there before: the next index, read from this position on.
    Split(Arc<str>, i64),
}

/// The worker has gone: the reader can stop.
pub struct Gone;

impl Hands {
    /// Waits while there is no room.
    pub fn give(&self, event: SourceEvent, advanced: Option<(usize, i64)>) -> Result<(), Gone> {
        let room = room_of(&event);
        self.room.take(room)?;
        self.sender.send(Ok(Handed::Event(event, room, advanced))).map_err(|_| Gone)
    }

    /// Adds a split behind the others; events may then advance it.
    pub fn add_split(&self, split: Arc<str>, position: i64) -> Result<(), Gone> {
        self.sender.send(Ok(Handed::Split(split, position))).map_err(|_| Gone)
    }

    /// The last thing to give.
    pub fn fail(self, error: Error) {
        // Without a worker nobody is left to be told.
        let _ = self.sender.send(Err(error));
    }

    pub fn is_gone(&self) -> bool {
        self.sender.is_closed()
    }
}

/// The room of a queue. Its reader is a thread, of whatever kind, and waits as one.
struct Room {
    /// What is free; `None` when the worker has gone.
    free: Mutex<Option<u32>>,
    freed: Condvar,
}

impl Default for Room {
    fn default() -> Self {
        Self { free: Mutex::new(Some(ROOM)), freed: Condvar::new() }
    }
}

impl Room {
    /// Waits for so much room; the worker gives it back when it has taken the event.
    fn take(&self, room: u32) -> Result<(), Gone> {
        let mut free = self.free();
        while let Some(left) = *free {
            if left >= room {
                *free = Some(left - room);
                return Ok(());
            }
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        Err(Gone)
    }

    fn give_back(&self, room: u32) {
        if let Some(free) = &mut *self.free() {
            *free += room;
        }
        self.freed.notify_one();
    }

    fn close(&self) {
        *self.free() = None;
        self.freed.notify_one();
    }

    fn free(&self) -> MutexGuard<'_, Option<u32>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn room_of(event: &SourceEvent) -> u32 {
    let SourceEvent::Rows { rows, rejected, .. } = event else { return ROOM_OF_LEAST };
    let letters = rejected.iter().map(|letter| letter.raw.len()).sum::<usize>();
    let bytes = (rows.get_array_memory_size() + letters) / BYTES_OF_ROW;
    let room = (rows.num_rows() + rejected.len()).max(bytes);
    u32::try_from(room).unwrap_or(u32::MAX).clamp(ROOM_OF_LEAST, ROOM_OF_FULL)
}

/// The worker's end.
pub struct Handover {
    receiver: mpsc::UnboundedReceiver<Result<Handed>>,
    room: Arc<Room>,
    splits: Vec<Arc<str>>,
    offsets: Vec<i64>,
    ended: bool,
}

impl Handover {
    /// For splits read from these positions on.
    pub fn new(splits: Vec<(Arc<str>, i64)>) -> (Hands, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let room = Arc::new(Room::default());
        let (splits, offsets) = splits.into_iter().unzip();
        let hands = Hands { sender, room: Arc::clone(&room) };
        (hands, Self { receiver, room, splits, offsets, ended: false })
    }

    /// Nothing is taken any more; the reader hears of it when it gives the next event.
    pub fn close(&mut self) {
        self.receiver.close();
        self.room.close();
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
                Handed::Event(event, room, advanced) => {
                    self.room.give_back(room);
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

/// A reader that waits for room is let go.
impl Drop for Handover {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first error")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use futures::FutureExt;

    use super::*;

    fn rows(count: usize) -> SourceEvent {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![0; count]));
        let rows = RecordBatch::try_from_iter([("n", column)]).unwrap();
        SourceEvent::Rows { split: "s/0".into(), rows, weights: None, rejected: vec![] }
    }

    /// Gives events of so many rows until the worker has gone; says how many were taken in.
    fn giving(hands: Hands, count: usize) -> (std::thread::JoinHandle<()>, Arc<AtomicUsize>) {
        let given = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&given);
        // As a reader that is a future in a thread of its own.
        let thread = std::thread::spawn(move || {
            futures::executor::block_on(async {
                while hands.give(rows(count), Some((0, 1))).is_ok() {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            });
        });
        (thread, given)
    }

    fn settled(given: &AtomicUsize) -> usize {
        let mut last = usize::MAX;
        while last != given.load(Ordering::SeqCst) {
            last = given.load(Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(200));
        }
        last
    }

    #[test]
    fn four_full_batches_wait_or_many_small_ones() {
        for (rows, waiting) in [(4_096, 4), (100_000, 4), (1, 64), (2_048, 8)] {
            let (hands, mut handover) = Handover::new(vec![("s/0".into(), 0)]);
            let (thread, given) = giving(hands, rows);
            assert_eq!(settled(&given), waiting, "{rows} rows");
            assert!(handover.next().now_or_never().unwrap().is_ok());
            assert_eq!(settled(&given), waiting + 1, "{rows} rows");
            // The reader waits for room, and is let go.
            drop(handover);
            thread.join().unwrap();
        }
    }
}
