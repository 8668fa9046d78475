//! Where the last record of each key lies, for one turn of compaction.

use std::collections::HashMap;
use std::fs::File;
use std::io;

use super::aborted::AbortedSet;
use super::batches::Batches;
use crate::batch::Head;
use crate::records;

/// What keys may take, with [`ENTRY_BYTES`] each. Past it the turn ends before the next new key, and
/// the rest is left for the next turn. Kafka's bound is 128 MiB for all its cleaner threads.
pub(super) const KEYS_BYTES_MAX: usize = 64 << 20;
/// An entry of the map beside its key.
const ENTRY_BYTES: usize = 48;

#[derive(Debug)]
pub(super) struct KeyMap {
    last: HashMap<Box<[u8]>, i64>,
    bytes: usize,
    bytes_max: usize,
    /// The offset before which all records are in the map.
    pub end: i64,
}

impl KeyMap {
    /// An empty one, from `start` on.
    pub fn new(start: i64, bytes_max: usize) -> KeyMap {
        KeyMap { last: HashMap::new(), bytes: 0, bytes_max, end: start }
    }

    /// Adds what a segment of `bytes`, which ends at `end_offset`, has from the map's end on; `false`
    /// if there was no room for all.
    pub fn add(
        &mut self,
        file: File,
        (bytes, end_offset): (u64, i64),
        aborted: &AbortedSet,
    ) -> io::Result<bool> {
        let mut batches = Batches::new(file, bytes);
        while let Some((head, batch)) = batches.next()? {
            let counts = !head.is_control() && !aborted.has(&head);
            if counts && head.end_offset() > self.end && !self.add_batch(&head, batch) {
                return Ok(false);
            }
        }
        self.end = self.end.max(end_offset);
        Ok(true)
    }

    fn add_batch(&mut self, head: &Head, batch: &[u8]) -> bool {
        // What cannot be read is no later record of any key; it stays where it is.
        let Ok(decoded) = records::decode(head, batch) else { return true };
        for record in records::read(head, &decoded).map_while(Result::ok) {
            let offset = head.base_offset + i64::from(record.offset_delta);
            let Some(key) = record.key.filter(|_| offset >= self.end) else { continue };
            if let Some(last) = self.last.get_mut(key) {
                *last = offset;
                continue;
            }
            let bytes = self.bytes + key.len() + ENTRY_BYTES;
            if bytes > self.bytes_max && !self.last.is_empty() {
                self.end = offset;
                return false;
            }
            self.bytes = bytes;
            self.last.insert(key.into(), offset);
        }
        true
    }

    /// Whether a later record of the key is known.
    pub fn is_superseded(&self, key: &[u8], offset: i64) -> bool {
        self.last.get(key).is_some_and(|&last| offset < last)
    }
}
