//! The aborted transactions of a partition, to be asked by producer and offset.

use std::collections::HashMap;

use super::segment::Aborted;
use crate::batch::Head;

#[derive(Default)]
pub(super) struct AbortedSet {
    by_producer: HashMap<i64, Vec<Aborted>>,
}

impl AbortedSet {
    pub fn new(all: impl Iterator<Item = Aborted>) -> AbortedSet {
        let mut set = AbortedSet::default();
        for aborted in all {
            set.by_producer.entry(aborted.producer_id).or_default().push(aborted);
        }
        set
    }

    /// The transaction that this marker aborts, if it does.
    pub fn ended_by(&self, marker: &Head) -> Option<Aborted> {
        let of_producer = self.by_producer.get(&marker.producer_id)?;
        of_producer.iter().find(|aborted| aborted.last_offset == marker.base_offset).copied()
    }

    /// Whether the batch is of a transaction that was aborted.
    pub fn has(&self, head: &Head) -> bool {
        head.is_transactional()
            && self.by_producer.get(&head.producer_id).is_some_and(|of_producer| {
                of_producer.iter().any(|aborted| {
                    (aborted.first_offset..aborted.last_offset).contains(&head.base_offset)
                })
            })
    }
}
