//! What waits to be sent, by partition, between those who write and the thread that sends.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Notify;

use super::batch::{Identity, Sealed};
use crate::kafka::contact::Name;

/// Sequence numbers begin anew behind the last.
const SEQUENCES: i64 = 1 << 31;

/// Batches of one partition, in their order. One at a time is on its way: it is sent again as it is until
/// the partition's leader has taken it, and brokers know by its number if they have it already.
pub struct Part {
    pub topic: String,
    pub partition: i32,
    waiting: VecDeque<Sealed>,
    first: Option<First>,
    /// The number of the next record.
    sequence: i32,
    /// Whether the brokers are being asked to take the first.
    pub asked: bool,
    /// Whether brokers may have the first without our having heard of it.
    pub unsure: bool,
    /// Whether it belongs to the transaction.
    pub added: bool,
    /// Not to be sent before.
    pub held_until: Option<Instant>,
}

/// The batch that is next, with its numbers.
struct First {
    bytes: Bytes,
    records: i32,
    since: Instant,
    /// Bytes of memory.
    held: usize,
}

#[derive(Default)]
pub struct State {
    pub parts: Vec<Part>,
    /// How many partitions topics have, as brokers last said.
    pub partitions: HashMap<String, usize>,
    places: HashMap<Name, usize>,
    /// Batches that no broker has taken yet, and their bytes.
    pub batches: usize,
    pub bytes: usize,
    /// Why no more are sent.
    pub failure: Option<Failed>,
}

/// Why a producer sends no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub reason: String,
    /// Whether another one has taken its transactional id.
    pub fenced: bool,
}

#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    /// There is more to send.
    pub more: Notify,
    /// Something has arrived, or nothing more will.
    pub news: Notify,
}

impl Queue {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a partition among all that are written.
    pub fn place(&self, topic: &str, partition: i32) -> usize {
        let state = &mut *self.lock();
        let name = (topic.to_owned(), partition);
        *state.places.entry(name).or_insert_with(|| {
            state.parts.push(Part {
                topic: topic.to_owned(),
                partition,
                waiting: VecDeque::new(),
                first: None,
                sequence: 0,
                asked: false,
                unsure: false,
                added: false,
                held_until: None,
            });
            state.parts.len() - 1
        })
    }

    pub fn push(&self, place: usize, batch: Sealed) {
        let state = &mut *self.lock();
        state.batches += 1;
        state.bytes += batch.bytes();
        state.parts[place].waiting.push_back(batch);
        self.more.notify_one();
    }

    pub fn fail(&self, failed: Failed) {
        self.lock().failure.get_or_insert(failed);
        self.news.notify_waiters();
    }

    /// Waits until this is so; a producer that has failed waits for nothing.
    pub async fn until(&self, so: impl Fn(&State) -> bool) -> Result<(), Failed> {
        loop {
            let news = self.news.notified();
            let mut news = std::pin::pin!(news);
            // Or what comes between the look and the wait is missed.
            news.as_mut().enable();
            {
                let state = self.lock();
                if let Some(failed) = &state.failure {
                    return Err(failed.clone());
                }
                if so(&state) {
                    return Ok(());
                }
            }
            news.await;
        }
    }
}

impl State {
    /// What was taken leaves the queue.
    pub fn taken(&mut self, place: usize) {
        let part = &mut self.parts[place];
        (part.asked, part.unsure) = (false, false);
        part.held_until = None;
        if let Some(first) = part.first.take() {
            let next = i64::from(part.sequence) + i64::from(first.records);
            part.sequence = (next % SEQUENCES) as i32;
            self.batches -= 1;
            self.bytes -= first.held;
        }
    }
}

impl Part {
    /// Whether there is something to be sent now.
    pub fn is_due(&self) -> bool {
        !self.asked && self.has_some() && self.held_until.is_none()
    }

    pub fn has_some(&self) -> bool {
        self.first.is_some() || !self.waiting.is_empty()
    }

    /// The bytes of the batch that is next.
    pub fn next(&mut self, producer: Identity) -> Option<Bytes> {
        if self.first.is_none() {
            let batch = self.waiting.pop_front()?;
            let (records, since, held) = (batch.records, batch.since, batch.bytes());
            let bytes = batch.number(producer, self.sequence);
            self.first = Some(First { bytes, records, since, held });
        }
        self.first.as_ref().map(|first| first.bytes.clone())
    }

    /// Since when the batch that is next has waited.
    pub fn since(&self) -> Option<Instant> {
        let first = self.first.as_ref().map(|first| first.since);
        first.or_else(|| self.waiting.front().map(|batch| batch.since))
    }

    /// The producer has another epoch from now on. Nothing may wait.
    pub fn begin_anew(&mut self) {
        self.sequence = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::native::produce::batch::Building;
    use crate::kafka::native::produce::compress::Compressor;
    use crate::kafka::writing::Outgoing;

    const PRODUCER: Identity = Identity { id: 7, epoch: 1 };

    fn batch(records: usize) -> Sealed {
        let mut building = Building::default();
        for _ in 0..records {
            building.push(&Outgoing { value: Some(b"value"), ..Outgoing::default() }, 5);
        }
        building.seal(&mut Compressor::default(), false, usize::MAX)
    }

    fn sequence(bytes: &Bytes) -> i32 {
        i32::from_be_bytes(bytes[53..57].try_into().unwrap())
    }

    #[test]
    fn a_batch_keeps_its_number_until_it_is_taken() {
        let queue = Queue::default();
        let place = queue.place("t", 3);
        assert_eq!(queue.place("t", 3), place);
        assert_ne!(queue.place("t", 4), place);
        for records in [2, 3, 1] {
            queue.push(place, batch(records));
        }
        let mut state = queue.lock();
        let mut seen = vec![];
        for again in [true, false, false, true, false] {
            let first = state.parts[place].next(PRODUCER).unwrap();
            seen.push(sequence(&first));
            match again {
                true => assert_eq!(state.parts[place].next(PRODUCER), Some(first)),
                false => state.taken(place),
            }
        }
        assert_eq!(seen, [0, 0, 2, 5, 5]);
        assert_eq!((state.batches, state.bytes, state.parts[place].has_some()), (0, 0, false));
    }

    #[test]
    fn numbers_begin_anew_behind_the_last() {
        let queue = Queue::default();
        let place = queue.place("t", 0);
        queue.push(place, batch(3));
        queue.push(place, batch(1));
        let mut state = queue.lock();
        state.parts[place].sequence = i32::MAX - 1;
        assert_eq!(sequence(&state.parts[place].next(PRODUCER).unwrap()), i32::MAX - 1);
        state.taken(place);
        // i32::MAX - 1, i32::MAX, 0: as `DefaultRecordBatch.incrementSequence` counts.
        assert_eq!(sequence(&state.parts[place].next(PRODUCER).unwrap()), 1);
    }

    #[tokio::test]
    async fn who_waits_hears_of_a_failure() {
        let queue = std::sync::Arc::new(Queue::default());
        let place = queue.place("t", 0);
        queue.push(place, batch(1));
        let other = std::sync::Arc::clone(&queue);
        let waits = tokio::spawn(async move { other.until(|state| state.batches == 0).await });
        tokio::task::yield_now().await;
        queue.fail(Failed { reason: "broken".into(), fenced: false });
        queue.fail(Failed { reason: "later".into(), fenced: true });
        assert_eq!(waits.await.unwrap().unwrap_err().reason, "broken");
    }
}
