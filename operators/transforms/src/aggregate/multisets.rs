//! Values and how often each is there, for every slot: one table and one run of bytes for all.

use arrow::array::{ArrayRef, AsArray, BinaryArray, BinaryBuilder, Int64Builder, ListBuilder};
use arrow::datatypes::Int64Type;
use hashbrown::HashTable;
use std::sync::Arc;

use nowcast_engine::keys::key_hash;

const NONE: u32 = u32::MAX;

/// Entries that are gone beyond those still there before the others move together.
const SLACK_ENTRIES: usize = 1024;

/// A multiset of encoded values for each slot.
#[derive(Default)]
pub struct Multisets {
    table: HashTable<u32>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    /// The last entry of each slot.
    last: Vec<u32>,
    /// Entries whose count has come to 0.
    gone: usize,
}

struct Entry {
    slot: u32,
    /// Of the same slot.
    previous: u32,
    /// 0: the value is not there any more.
    count: i64,
    /// One past the entry's bytes; they begin where the entry before ends.
    end: usize,
}

impl Multisets {
    /// Makes room for slots below `slots`.
    pub fn resize(&mut self, slots: usize) {
        self.last.resize(slots.max(self.last.len()), NONE);
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> usize {
        let table = self.table.capacity() * (size_of::<u32>() + 1);
        let entries = self.entries.capacity() * size_of::<Entry>();
        table + entries + self.bytes.capacity() + self.last.capacity() * size_of::<u32>()
    }

    /// Adds a value `times` times; whether it is new for the slot.
    pub fn insert(&mut self, slot: u32, value: &[u8], times: i64) -> bool {
        if let Some(entry) = self.find(slot, value) {
            self.entries[entry as usize].count += times;
            return false;
        }
        let entry = self.entries.len() as u32;
        self.bytes.extend_from_slice(value);
        let previous = std::mem::replace(&mut self.last[slot as usize], entry);
        self.entries.push(Entry { slot, previous, count: times, end: self.bytes.len() });
        let (entries, bytes) = (&self.entries, &self.bytes);
        self.table.insert_unique(hash_of(slot, value), entry, |entry| {
            let slot = entries[*entry as usize].slot;
            hash_of(slot, slice(entries, bytes, *entry))
        });
        true
    }

    /// Takes a value out `times` times; whether that was the last of it. A value that is not there
    /// stays away.
    pub fn remove(&mut self, slot: u32, value: &[u8], times: i64) -> bool {
        let Some(entry) = self.find(slot, value) else { return false };
        let held = &mut self.entries[entry as usize];
        held.count -= times.max(0);
        if held.count > 0 {
            return false;
        }
        self.forget(entry);
        self.tidy();
        true
    }

    /// Empties a slot.
    pub fn clear(&mut self, slot: u32) {
        for entry in self.of(slot) {
            self.entries[entry as usize].count = 0;
            self.forget(entry);
        }
        self.last[slot as usize] = NONE;
        self.tidy();
    }

    /// The values of a slot in the order they came, and how often each is there.
    pub fn values(&self, slot: u32) -> impl Iterator<Item = (&[u8], i64)> {
        let entry = |entry: u32| {
            (slice(&self.entries, &self.bytes, entry), self.entries[entry as usize].count)
        };
        self.of(slot).into_iter().map(entry)
    }

    /// The values of each slot and their counts, as two columns of lists.
    pub fn save(&self, slots: &[u32]) -> Vec<ArrayRef> {
        let mut values = ListBuilder::new(BinaryBuilder::new());
        let mut counts = ListBuilder::new(Int64Builder::new());
        for slot in slots {
            for (value, count) in self.values(*slot) {
                values.values().append_value(value);
                counts.values().append_value(count);
            }
            values.append(true);
            counts.append(true);
        }
        vec![Arc::new(values.finish()), Arc::new(counts.finish())]
    }

    /// Adds what [`Multisets::save`] made. Calls `fresh(slot, value)` for each value that was new.
    pub fn load<'a>(
        &mut self,
        slots: &[u32],
        saved: &'a [ArrayRef],
        mut fresh: impl FnMut(u32, &'a [u8]),
    ) {
        let lists = saved[0].as_list::<i32>();
        let values: &BinaryArray = lists.values().as_binary();
        let counts = saved[1].as_list::<i32>().values().as_primitive::<Int64Type>();
        for (nth, slot) in slots.iter().enumerate() {
            let (first, end) = (lists.value_offsets()[nth], lists.value_offsets()[nth + 1]);
            for row in first as usize..end as usize {
                if self.insert(*slot, values.value(row), counts.value(row)) {
                    fresh(*slot, values.value(row));
                }
            }
        }
    }

    fn find(&self, slot: u32, value: &[u8]) -> Option<u32> {
        let (entries, bytes) = (&self.entries, &self.bytes);
        let held = |entry: &u32| {
            entries[*entry as usize].slot == slot && slice(entries, bytes, *entry) == value
        };
        self.table.find(hash_of(slot, value), held).copied()
    }

    /// Takes an entry whose count is 0 out of the table; its bytes stay until the next tidying.
    fn forget(&mut self, entry: u32) {
        let slot = self.entries[entry as usize].slot;
        let hash = hash_of(slot, slice(&self.entries, &self.bytes, entry));
        if let Ok(found) = self.table.find_entry(hash, |held| *held == entry) {
            found.remove();
            self.gone += 1;
        }
    }

    fn tidy(&mut self) {
        if self.gone <= SLACK_ENTRIES + self.table.len() {
            return;
        }
        let mut tidied = Self::default();
        tidied.resize(self.last.len());
        for slot in 0..self.last.len() as u32 {
            for (value, count) in self.values(slot) {
                tidied.insert(slot, value, count);
            }
        }
        *self = tidied;
    }

    fn of(&self, slot: u32) -> Vec<u32> {
        let mut entries = vec![];
        let mut entry = self.last[slot as usize];
        while entry != NONE {
            let held = &self.entries[entry as usize];
            if held.count > 0 {
                entries.push(entry);
            }
            entry = held.previous;
        }
        entries.reverse();
        entries
    }
}

fn slice<'a>(entries: &[Entry], bytes: &'a [u8], entry: u32) -> &'a [u8] {
    let entry = entry as usize;
    let start = if entry == 0 { 0 } else { entries[entry - 1].end };
    &bytes[start..entries[entry].end]
}

/// The slot spread over the bits of the value's hash.
fn hash_of(slot: u32, value: &[u8]) -> u64 {
    key_hash(value) ^ u64::from(slot).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_order_while_others_come_and_go() {
        let mut sets = Multisets::default();
        sets.resize(2);
        assert!(sets.insert(0, b"a", 1));
        assert!(sets.insert(1, b"a", 1));
        assert!(!sets.insert(0, b"a", 1));
        assert!(!sets.remove(0, b"a", 1));
        assert!(!sets.remove(0, b"never there", 1));
        for number in 0..5_000u32 {
            assert!(sets.insert(0, &number.to_le_bytes(), 1));
            assert!(sets.remove(0, &number.to_le_bytes(), 1));
        }
        sets.insert(0, b"b", 3);
        assert!(sets.entries.len() < 3 * SLACK_ENTRIES, "{}", sets.entries.len());
        assert_eq!(sets.values(0).collect::<Vec<_>>(), [(&b"a"[..], 1), (&b"b"[..], 3)]);
        let mut other = Multisets::default();
        other.resize(1);
        other.load(&[0], &sets.save(&[0]), |_, _| {});
        assert_eq!(other.values(0).collect::<Vec<_>>(), [(&b"a"[..], 1), (&b"b"[..], 3)]);
        sets.clear(0);
        assert_eq!(sets.values(0).count(), 0);
        assert_eq!(sets.values(1).count(), 1);
    }
}
