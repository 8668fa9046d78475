//! DISTINCT: lets each value of a slot through to another aggregate once.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, ListBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use hashbrown::HashTable;
use nowcast_engine::Result;
use nowcast_engine::keys::{KeyCodec, key_hash};

use super::{Accumulator, for_each, passing};

/// The values seen, and an aggregate of them. The set alone is saved: the aggregate follows from it.
pub struct Distinct {
    inner: Box<dyn Accumulator>,
    codec: KeyCodec,
    seen: Seen,
}

impl Distinct {
    pub fn new(inner: Box<dyn Accumulator>, types: &[DataType]) -> Result<Self> {
        Ok(Self { inner, codec: KeyCodec::new(types)?, seen: Seen::default() })
    }
}

impl Accumulator for Distinct {
    fn resize(&mut self, slots: usize) {
        self.inner.resize(slots);
        self.seen.last.resize(slots.max(self.seen.last.len()), NONE);
    }

    fn update(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<()> {
        let encoded = self.codec.encode(args)?;
        let mut fresh = vec![false; slots.len()];
        let seen = &mut self.seen;
        for_each(slots, passing(args, filter).as_ref(), |row, slot| {
            fresh[row] = seen.insert(slot as u32, encoded.row(row).as_ref());
        });
        let fresh = BooleanArray::new(BooleanBuffer::from(fresh), None);
        self.inner.update(slots, args, Some(&fresh))
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        self.inner.evaluate(slots)
    }

    fn save(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let mut lists = ListBuilder::new(BinaryBuilder::new());
        for slot in slots {
            for entry in self.seen.of(*slot) {
                lists.values().append_value(self.seen.value(entry));
            }
            lists.append(true);
        }
        Ok(vec![Arc::new(lists.finish())])
    }

    fn merge(&mut self, slots: &[u32], saved: &[ArrayRef]) -> Result<()> {
        let lists = saved[0].as_list::<i32>();
        let values: &BinaryArray = lists.values().as_binary();
        let (mut of, mut fresh): (Vec<u32>, Vec<&[u8]>) = (vec![], vec![]);
        for (nth, slot) in slots.iter().enumerate() {
            let (first, end) = (lists.value_offsets()[nth], lists.value_offsets()[nth + 1]);
            for row in first as usize..end as usize {
                if self.seen.insert(*slot, values.value(row)) {
                    of.push(*slot);
                    fresh.push(values.value(row));
                }
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let columns = self.codec.decode(fresh.into_iter())?;
        self.inner.update(&of, &columns, None)
    }
}

const NONE: u32 = u32::MAX;

/// A set of values for each slot: one table and one run of bytes for all.
#[derive(Default)]
struct Seen {
    table: HashTable<u32>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    /// The last entry of each slot.
    last: Vec<u32>,
}

struct Entry {
    slot: u32,
    /// Of the same slot.
    previous: u32,
    /// One past the entry's bytes; they begin where the entry before ends.
    end: usize,
}

impl Seen {
    /// Whether the value is new for the slot.
    fn insert(&mut self, slot: u32, value: &[u8]) -> bool {
        let hash = hash_of(slot, value);
        let (entries, bytes) = (&self.entries, &self.bytes);
        let held = |entry: &u32| {
            entries[*entry as usize].slot == slot && slice(entries, bytes, *entry) == value
        };
        if self.table.find(hash, held).is_some() {
            return false;
        }
        let entry = self.entries.len() as u32;
        self.bytes.extend_from_slice(value);
        let previous = std::mem::replace(&mut self.last[slot as usize], entry);
        self.entries.push(Entry { slot, previous, end: self.bytes.len() });
        let (entries, bytes) = (&self.entries, &self.bytes);
        self.table.insert_unique(hash, entry, |entry| {
            let slot = entries[*entry as usize].slot;
            hash_of(slot, slice(entries, bytes, *entry))
        });
        true
    }

    fn value(&self, entry: u32) -> &[u8] {
        slice(&self.entries, &self.bytes, entry)
    }

    /// The entries of a slot in the order they came.
    fn of(&self, slot: u32) -> Vec<u32> {
        let mut entries = vec![];
        let mut entry = self.last[slot as usize];
        while entry != NONE {
            entries.push(entry);
            entry = self.entries[entry as usize].previous;
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
