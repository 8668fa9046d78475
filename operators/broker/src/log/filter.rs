//! What compaction makes of a batch: leaves it, takes records out, or drops it. Kafka's rules.

use std::collections::HashSet;
use std::io;

use super::aborted::AbortedSet;
use super::key_map::KeyMap;
use crate::batch::Head;
use crate::producers::LastWords;
use crate::records::{self, Record};

pub(super) struct Filter<'a> {
    pub keys: &'a KeyMap,
    pub aborted: &'a AbortedSet,
    pub last_words: &'a LastWords,
    pub now_ms: i64,
    pub delete_retention_ms: i64,
    /// Producers with a batch left of a transaction whose end is still to come.
    open: HashSet<i64>,
}

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    Becomes(Vec<u8>),
    Goes,
}

impl<'a> Filter<'a> {
    pub fn new(
        keys: &'a KeyMap,
        aborted: &'a AbortedSet,
        last_words: &'a LastWords,
        now_ms: i64,
        delete_retention_ms: i64,
    ) -> Filter<'a> {
        Filter { keys, aborted, last_words, now_ms, delete_retention_ms, open: HashSet::new() }
    }

    /// To be asked of all batches of the log in turn. A batch that `must_stay` does so without its
    /// records, if need be: it holds the place of an offset.
    pub fn fate(&mut self, head: &Head, batch: &[u8], must_stay: bool) -> io::Result<Fate> {
        let must_stay = must_stay || self.last_words.is(head);
        let fate = if head.is_control() {
            self.fate_of_marker(head, batch, must_stay)?
        } else {
            self.fate_of_records(head, batch, must_stay)?
        };
        if head.is_transactional() && !head.is_control() && fate != Fate::Goes {
            self.open.insert(head.producer_id);
        }
        Ok(fate)
    }

    /// A marker stays while there is something that it ends, and then as long as a tombstone.
    fn fate_of_marker(&mut self, head: &Head, batch: &[u8], must_stay: bool) -> io::Result<Fate> {
        let ends_something = self.open.remove(&head.producer_id);
        if ends_something {
            return Ok(Fate::Stays);
        }
        match head.horizon_ms() {
            Some(until_ms) if until_ms <= self.now_ms => emptied(head, must_stay),
            Some(_) => Ok(Fate::Stays),
            None if head.records == 0 => emptied(head, must_stay),
            None => {
                let decoded = records::decode(head, batch)?;
                let all: Vec<_> = records::read(head, &decoded).collect::<io::Result<_>>()?;
                records::rebuild(head, &all, Some(self.horizon())).map(Fate::Becomes)
            }
        }
    }

    fn fate_of_records(&self, head: &Head, batch: &[u8], must_stay: bool) -> io::Result<Fate> {
        if head.records == 0 || self.aborted.has(head) {
            return emptied(head, must_stay);
        }
        let decoded = match records::decode(head, batch) {
            Ok(decoded) => decoded,
            Err(error) => return Ok(unread(head, &error)),
        };
        let mut kept = Vec::new();
        for record in records::read(head, &decoded) {
            match record {
                Ok(record) if self.keeps(head, &record) => kept.push(record),
                Ok(_) => {}
                Err(error) => return Ok(unread(head, &error)),
            }
        }
        if kept.is_empty() {
            return emptied(head, must_stay);
        }
        let has_tombstone = kept.iter().any(|record| !record.has_value);
        let horizon = head.horizon_ms().or(has_tombstone.then(|| self.horizon()));
        if kept.len() == head.records as usize && horizon == head.horizon_ms() {
            return Ok(Fate::Stays);
        }
        records::rebuild(head, &kept, horizon).map(Fate::Becomes)
    }

    fn keeps(&self, head: &Head, record: &Record<'_>) -> bool {
        let offset = head.base_offset + i64::from(record.offset_delta);
        if offset >= self.keys.end {
            return true;
        }
        let Some(key) = record.key else { return false };
        let is_over = head.horizon_ms().is_some_and(|until_ms| until_ms <= self.now_ms);
        (record.has_value || !is_over) && !self.keys.is_superseded(key, offset)
    }

    fn horizon(&self) -> i64 {
        self.now_ms.saturating_add(self.delete_retention_ms)
    }
}

fn emptied(head: &Head, must_stay: bool) -> io::Result<Fate> {
    match (must_stay, head.records) {
        (false, _) => Ok(Fate::Goes),
        (true, 0) => Ok(Fate::Stays),
        (true, _) => records::rebuild(head, &[], None).map(Fate::Becomes),
    }
}

fn unread(head: &Head, error: &io::Error) -> Fate {
    tracing::warn!(%error, offset = head.base_offset, "batch is not compacted");
    Fate::Stays
}
