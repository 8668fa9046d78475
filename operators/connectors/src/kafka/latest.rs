//! The changes of an upsert table that wait to be sent: the latest of each key.

use std::collections::HashMap;

use super::writing::Headers;

/// Bytes that wait for a flush, whatever the rows' size.
const BUFFER_BYTES: usize = 8 << 20;

/// What becomes of a key: a new row, or without a value none.
pub struct Change {
    pub value: Option<Vec<u8>>,
    pub timestamp: Option<i64>,
    pub headers: Option<Headers>,
}

/// In the order in which keys came first.
#[derive(Default)]
pub struct Latest {
    changes: Vec<(Vec<u8>, Change)>,
    by_key: HashMap<Vec<u8>, usize>,
    bytes: usize,
}

impl Latest {
    /// A later change of a key takes the earlier one's place.
    pub fn put(&mut self, key: &[u8], change: Change) {
        let bytes = |change: &Change| change.value.as_ref().map_or(0, Vec::len);
        self.bytes += bytes(&change);
        match self.by_key.get(key) {
            Some(at) => {
                self.bytes -= bytes(&self.changes[*at].1);
                self.changes[*at].1 = change;
            }
            None => {
                self.bytes += key.len();
                self.by_key.insert(key.to_vec(), self.changes.len());
                self.changes.push((key.to_vec(), change));
            }
        }
    }

    pub fn is_full(&self, rows_max: usize) -> bool {
        self.changes.len() >= rows_max || self.bytes >= BUFFER_BYTES
    }

    /// All changes; none are left.
    pub fn take(&mut self) -> Vec<(Vec<u8>, Change)> {
        self.by_key.clear();
        self.bytes = 0;
        std::mem::take(&mut self.changes)
    }
}
