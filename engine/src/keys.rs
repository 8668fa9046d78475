//! Keys of keyed state: columns to bytes, bytes to key groups and dense slots.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, Rows, SortField};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::Result;

/// State and exchanges are cut into this many parts. It bounds the number of workers and is written
/// into checkpoints: changing it invalidates them.
pub const KEY_GROUPS: usize = 256;

/// The hash of a key's bytes. Fixed: checkpoints and exchanges depend on it.
pub fn key_hash(key: &[u8]) -> u64 {
    xxh3_64(key)
}

/// The key group of a hash.
pub fn key_group(hash: u64) -> u16 {
    (hash >> 56) as u16
}

/// The worker that owns a key group.
pub fn owner(key_group: u16, workers: usize) -> usize {
    usize::from(key_group) * workers / KEY_GROUPS
}

/// Encodes key columns as bytes which are equal just where all columns are (null equals null), and
/// decodes them again.
pub struct KeyCodec {
    converter: RowConverter,
}

impl KeyCodec {
    pub fn new(types: &[DataType]) -> Result<Self> {
        let fields = types.iter().map(|ty| SortField::new(ty.clone())).collect();
        Ok(Self { converter: RowConverter::new(fields)? })
    }

    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Rows> {
        Ok(self.converter.convert_columns(columns)?)
    }

    pub fn decode<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        Ok(self.converter.convert_rows(keys.map(|key| parser.parse(key)))?)
    }
}

/// Keys and their dense slots: values live in vectors by slot, beside it.
///
/// Slots of removed keys are given out again, so the vectors stay as short as the most keys there
/// ever were at once.
pub struct Keys {
    codec: KeyCodec,
    slots: HashTable<u32>,
    keys: Vec<Option<Box<[u8]>>>,
    free: Vec<u32>,
    bytes: usize,
    /// Whether there are no key columns: then there is one key, the empty one.
    global: bool,
}

impl Keys {
    pub fn new(types: &[DataType]) -> Result<Self> {
        Ok(Self {
            codec: KeyCodec::new(types)?,
            slots: HashTable::new(),
            keys: vec![],
            free: vec![],
            bytes: 0,
            global: types.is_empty(),
        })
    }

    /// The bytes of each row's key.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Rows> {
        self.codec.encode(columns)
    }

    /// The slot of each row's key; new keys get one. `rows` counts where there are no key columns.
    pub fn intern(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        if self.global {
            let slot = self.intern_bytes(&[]);
            return Ok(vec![slot; rows]);
        }
        let encoded = self.codec.encode(columns)?;
        Ok(encoded.iter().map(|key| self.intern_bytes(key.as_ref())).collect())
    }

    /// The slot of an encoded key; a new key gets one.
    pub fn intern_bytes(&mut self, key: &[u8]) -> u32 {
        let hash = key_hash(key);
        let keys = &mut self.keys;
        let free = &mut self.free;
        let bytes = &mut self.bytes;
        let held =
            |slot: &u32, keys: &[Option<Box<[u8]>>]| keys[*slot as usize].as_deref() == Some(key);
        if let Some(slot) = self.slots.find(hash, |slot| held(slot, keys)) {
            return *slot;
        }
        *bytes += key.len();
        let slot = match free.pop() {
            Some(slot) => {
                keys[slot as usize] = Some(key.into());
                slot
            }
            None => {
                keys.push(Some(key.into()));
                (keys.len() - 1) as u32
            }
        };
        self.slots.insert_unique(hash, slot, |slot| {
            key_hash(keys[*slot as usize].as_deref().expect("a slot in the table has its key"))
        });
        slot
    }

    /// The slot of an encoded key, where it has one.
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        let held = |slot: &u32| self.keys[*slot as usize].as_deref() == Some(key);
        self.slots.find(key_hash(key), held).copied()
    }

    pub fn remove(&mut self, slot: u32) {
        let Some(key) = self.keys[slot as usize].take() else { return };
        let found = self.slots.find_entry(key_hash(&key), |held| *held == slot);
        if let Ok(entry) = found {
            entry.remove();
        }
        self.bytes -= key.len();
        self.free.push(slot);
    }

    /// Keys held.
    pub fn len(&self) -> usize {
        self.keys.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the greatest slot given out: how long vectors by slot must be.
    pub fn slots_len(&self) -> usize {
        self.keys.len()
    }

    /// The slots in use, ascending.
    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.keys.len() as u32).filter(|slot| self.keys[*slot as usize].is_some())
    }

    /// Encoded key of a slot in use.
    pub fn key(&self, slot: u32) -> &[u8] {
        self.keys[slot as usize].as_deref().expect("the slot is in use")
    }

    /// Key columns of slots in use.
    pub fn columns(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        if self.global {
            return Ok(vec![]);
        }
        self.codec.decode(slots.iter().map(|slot| self.key(*slot)))
    }

    pub fn key_group(&self, slot: u32) -> u16 {
        key_group(key_hash(self.key(slot)))
    }

    /// Bytes of the keys held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn equal_keys_share_a_slot_and_removed_slots_come_back() {
        let mut keys = Keys::new(&[DataType::Utf8, DataType::Int64]).unwrap();
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("a"), None]));
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 1, 2]));
        let slots = keys.intern(&[names, ids], 4).unwrap();
        assert_eq!(slots, [0, 1, 0, 2]);
        keys.remove(1);
        assert_eq!(keys.len(), 2);
        assert_eq!(keys.intern_bytes(b"x"), 1);
        assert_eq!(keys.slots().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn every_worker_owns_a_fair_share_of_the_key_groups() {
        for workers in 1..=16 {
            let mut owned = vec![0; workers];
            (0..KEY_GROUPS as u16).for_each(|group| owned[owner(group, workers)] += 1);
            assert!(owned.iter().all(|count| *count >= KEY_GROUPS / workers));
        }
    }
}
