//! Idempotent producers of one partition: which sequence numbers were seen, which come next, and whose
//! transactions are open here.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::batch::Head;

/// Batches remembered per producer: clients keep at most five requests in flight.
const BATCHES_MAX: usize = 5;

#[derive(Clone, Debug)]
pub(crate) struct Producers {
    by_id: HashMap<i64, Producer>,
    /// The producers with an open transaction, by its first offset.
    open: BTreeMap<i64, i64>,
    producers_max: usize,
}

/// A producer's last batches, oldest first; empty once another epoch has ended a transaction of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Producer {
    epoch: i16,
    batches: VecDeque<Sent>,
    /// First offset of its transaction, while it is open.
    #[serde(default)]
    open: Option<i64>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Sent {
    first: i32,
    last: i32,
    base_offset: i64,
}

/// What to do with a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    /// Already in the log, at this offset: acknowledge it again.
    Duplicate {
        base_offset: i64,
    },
    /// Something before it is missing.
    OutOfOrder,
    /// A newer incarnation of the producer has written.
    StaleEpoch,
    /// A transaction of the producer is open, and this is not part of one.
    OutsideTransaction,
}

/// The state as kept beside a closed segment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Snapshot(Vec<(i64, Producer)>);

/// A producer as it is told of.
pub(crate) struct Active {
    pub id: i64,
    pub epoch: i16,
    pub last_sequence: i32,
    /// First offset of its open transaction.
    pub open: Option<i64>,
}

/// What a log must keep of each producer, to know it again without a snapshot.
pub(crate) struct LastWords(HashMap<i64, LastWord>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum LastWord {
    Batch {
        base_offset: i64,
    },
    /// An end of a transaction, in an epoch that has written nothing since.
    Marker {
        epoch: i16,
    },
}

impl LastWords {
    pub fn is(&self, head: &Head) -> bool {
        let word = match head.is_control() {
            false => LastWord::Batch { base_offset: head.base_offset },
            true => LastWord::Marker { epoch: head.producer_epoch },
        };
        self.0.get(&head.producer_id) == Some(&word)
    }
}

impl Producers {
    pub fn new(producers_max: usize) -> Producers {
        Producers {
            by_id: HashMap::new(),
            open: BTreeMap::new(),
            producers_max: producers_max.max(1),
        }
    }

    pub fn verdict(&self, head: &Head) -> Verdict {
        if head.producer_id < 0 {
            return Verdict::Append;
        }
        // A producer we know nothing of (forgotten, or its records are gone) may start anywhere.
        let Some(producer) = self.by_id.get(&head.producer_id) else { return Verdict::Append };
        let (first, last) = sequences(head);
        if head.producer_epoch < producer.epoch {
            return Verdict::StaleEpoch;
        }
        if producer.open.is_some() && !head.is_transactional() {
            return Verdict::OutsideTransaction;
        }
        if head.producer_epoch > producer.epoch {
            return if first == 0 { Verdict::Append } else { Verdict::OutOfOrder };
        }
        if let Some(sent) = producer.batches.iter().find(|s| s.first == first && s.last == last) {
            return Verdict::Duplicate { base_offset: sent.base_offset };
        }
        let expected = producer.batches.back().map_or(0, |sent| following(sent.last));
        if first == expected { Verdict::Append } else { Verdict::OutOfOrder }
    }

    /// Remembers a batch that is now in the log at `base_offset`.
    pub fn record(&mut self, head: &Head, base_offset: i64) {
        if head.producer_id < 0 {
            return;
        }
        if !self.by_id.contains_key(&head.producer_id) && self.by_id.len() >= self.producers_max {
            self.forget_longest_silent();
        }
        let (first, last) = sequences(head);
        let fresh =
            || Producer { epoch: head.producer_epoch, batches: VecDeque::new(), open: None };
        let producer = self.by_id.entry(head.producer_id).or_insert_with(fresh);
        if producer.epoch != head.producer_epoch {
            *producer = Producer { open: producer.open, ..fresh() };
        }
        if head.is_transactional() && producer.open.is_none() {
            producer.open = Some(base_offset);
            self.open.insert(base_offset, head.producer_id);
        }
        if producer.batches.len() == BATCHES_MAX {
            producer.batches.pop_front();
        }
        producer.batches.push_back(Sent { first, last, base_offset });
    }

    /// Takes a marker; the first offset of the transaction it ends, if one is open.
    pub fn end(&mut self, marker: &Head) -> Option<i64> {
        let producer = self.by_id.get_mut(&marker.producer_id)?;
        if marker.producer_epoch > producer.epoch {
            producer.epoch = marker.producer_epoch;
            producer.batches.clear();
        }
        let first_offset = producer.open.take()?;
        self.open.remove(&first_offset);
        Some(first_offset)
    }

    /// Where the earliest open transaction begins.
    pub fn first_open(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// Id and epoch of each producer with an open transaction.
    pub fn open(&self) -> Vec<(i64, i16)> {
        let epoch = |id: &i64| self.by_id.get(id).map(|producer| (*id, producer.epoch));
        self.open.values().filter_map(epoch).collect()
    }

    /// Each that is known, by id.
    pub fn active(&self) -> Vec<Active> {
        let active = |(&id, producer): (&i64, &Producer)| Active {
            id,
            epoch: producer.epoch,
            last_sequence: producer.batches.back().map_or(-1, |sent| sent.last),
            open: producer.open,
        };
        let mut all: Vec<_> = self.by_id.iter().map(active).collect();
        all.sort_by_key(|active| active.id);
        all
    }

    /// The last word of each producer that is known.
    pub fn last_words(&self) -> LastWords {
        let word = |producer: &Producer| match producer.batches.back() {
            Some(sent) => LastWord::Batch { base_offset: sent.base_offset },
            None => LastWord::Marker { epoch: producer.epoch },
        };
        LastWords(self.by_id.iter().map(|(&id, producer)| (id, word(producer))).collect())
    }

    pub fn is_open(&self, producer_id: i64) -> bool {
        self.by_id.get(&producer_id).is_some_and(|producer| producer.open.is_some())
    }

    /// One with an open transaction is kept: their number is bounded by the transactional ids.
    fn forget_longest_silent(&mut self) {
        let last_offset = |p: &Producer| p.batches.back().map_or(-1, |sent| sent.base_offset);
        let silent = self.by_id.iter().filter(|(_, p)| p.open.is_none());
        let silent = silent.min_by_key(|(_, p)| last_offset(p)).map(|(&id, _)| id);
        if let Some(id) = silent {
            self.by_id.remove(&id);
        }
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.by_id.iter().map(|(&id, producer)| (id, producer.clone())).collect())
    }

    pub fn restore(&mut self, snapshot: Snapshot) {
        self.by_id = snapshot.0.into_iter().collect();
        let open = self.by_id.iter().filter_map(|(&id, producer)| Some((producer.open?, id)));
        self.open = open.collect();
    }
}

/// First and last sequence number of a batch; they wrap from `i32::MAX` to 0.
fn sequences(head: &Head) -> (i32, i32) {
    let first = head.base_sequence;
    (first, first.wrapping_add(head.last_offset_delta) & i32::MAX)
}

fn following(sequence: i32) -> i32 {
    sequence.wrapping_add(1) & i32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::batch;

    fn head(producer_id: i64, epoch: i16, sequence: i32, records: i32) -> Head {
        let bytes = batch((producer_id, epoch, 0), &[0]);
        let head = Head::read(&bytes).unwrap();
        Head { base_sequence: sequence, last_offset_delta: records - 1, records, ..head }
    }

    #[test]
    fn a_batch_sent_again_is_recognised_and_a_gap_refused() {
        let mut producers = Producers::new(10);
        producers.record(&head(1, 0, 0, 3), 100);
        producers.record(&head(1, 0, 3, 2), 103);
        assert_eq!(producers.verdict(&head(1, 0, 0, 3)), Verdict::Duplicate { base_offset: 100 });
        assert_eq!(producers.verdict(&head(1, 0, 5, 1)), Verdict::Append);
        assert_eq!(producers.verdict(&head(1, 0, 6, 1)), Verdict::OutOfOrder);
        assert_eq!(producers.verdict(&head(1, 0, 3, 1)), Verdict::OutOfOrder);
        assert_eq!(producers.verdict(&head(2, 0, 9, 1)), Verdict::Append);
    }

    #[test]
    fn a_newer_epoch_starts_at_zero_and_ends_the_older() {
        let mut producers = Producers::new(10);
        producers.record(&head(1, 0, 0, 3), 0);
        assert_eq!(producers.verdict(&head(1, 1, 3, 1)), Verdict::OutOfOrder);
        assert_eq!(producers.verdict(&head(1, 1, 0, 1)), Verdict::Append);
        producers.record(&head(1, 1, 0, 1), 3);
        assert_eq!(producers.verdict(&head(1, 0, 3, 1)), Verdict::StaleEpoch);
    }

    #[test]
    fn sequence_numbers_wrap_to_zero() {
        let mut producers = Producers::new(10);
        producers.record(&head(1, 0, i32::MAX - 1, 2), 0);
        assert_eq!(producers.verdict(&head(1, 0, 0, 4)), Verdict::Append);
        producers.record(&head(1, 0, i32::MAX, 3), 2);
        assert_eq!(producers.verdict(&head(1, 0, 2, 1)), Verdict::Append);
    }

    #[test]
    fn the_longest_silent_is_forgotten_at_the_bound() {
        let mut producers = Producers::new(2);
        for (id, offset) in [(1, 0), (2, 1), (1, 2), (3, 3)] {
            let next = producers.by_id.get(&id).map_or(0, |p: &Producer| p.batches.len() as i32);
            producers.record(&head(id, 0, next, 1), offset);
        }
        assert_eq!(producers.by_id.len(), 2);
        assert!(!producers.by_id.contains_key(&2));
    }
}
