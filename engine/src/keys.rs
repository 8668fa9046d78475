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

    /// The encoded keys of `rows` rows with their hashes; without key columns every row has the empty key.
    pub fn hashed(&self, columns: &[ArrayRef], rows: usize) -> Result<EncodedKeys> {
        if columns.is_empty() {
            return Ok(EncodedKeys { rows: None, hashes: vec![key_hash(&[]); rows] });
        }
        let encoded = self.converter.convert_columns(columns)?;
        let hashes = encoded.iter().map(|key| key_hash(key.data())).collect();
        Ok(EncodedKeys { rows: Some(encoded), hashes })
    }

    pub fn decode<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        Ok(self.converter.convert_rows(keys.map(|key| parser.parse(key)))?)
    }
}

/// The keys of a batch's rows, encoded and hashed once for all that look them up.
pub struct EncodedKeys {
    /// None where there are no key columns: every row has the empty key.
    rows: Option<Rows>,
    hashes: Vec<u64>,
}

impl EncodedKeys {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The encoded key of a row.
    pub fn key(&self, row: usize) -> &[u8] {
        self.rows.as_ref().map_or(&[], |rows| rows.row(row).data())
    }

    /// [`key_hash`] of each row's key.
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }
}

/// What a slot takes: its place, and one in a table that is half full on average.
const SLOT_BYTES: usize = size_of::<Place>() + 8;

/// Keys and their dense slots: values live in vectors by slot, beside it.
///
/// Slots of removed keys are given out again, so the vectors stay as short as the most keys there
/// ever were at once.
pub struct Keys {
    codec: KeyCodec,
    table: HashTable<u32>,
    /// By slot.
    places: Vec<Place>,
    /// The bytes of long keys, those of removed ones among them until they are most of it.
    arena: Vec<u8>,
    removed_bytes: usize,
    free: Vec<u32>,
    bytes: usize,
    /// Whether there are no key columns: then there is one key, the empty one.
    global: bool,
}

/// A key's bytes and their hash, two keys to a cache line. A number and a short text are at hand here; of
/// longer keys `bytes` begins with their place in the arena.
#[derive(Clone, Copy)]
struct Place {
    hash: u64,
    /// [`VACANT`] where the slot is free.
    length: u32,
    bytes: [u8; SHORT],
}

const SHORT: usize = 20;
const VACANT: u32 = u32::MAX;

/// Bytes of removed keys that are worth no move of the others.
const REMOVED_BYTES_MIN: usize = 64 << 10;

impl Place {
    /// Long keys are put into the arena.
    fn new(key: &[u8], hash: u64, arena: &mut Vec<u8>) -> Self {
        let length = u32::try_from(key.len()).expect("a key is shorter than a batch, 4 GB");
        let mut bytes = [0; SHORT];
        if key.len() <= SHORT {
            bytes[..key.len()].copy_from_slice(key);
        } else {
            bytes[..8].copy_from_slice(&(arena.len() as u64).to_le_bytes());
            arena.extend_from_slice(key);
        }
        Self { hash, length, bytes }
    }

    fn key<'a>(&'a self, arena: &'a [u8]) -> &'a [u8] {
        let length = self.length as usize;
        if self.is_short() {
            return &self.bytes[..length];
        }
        let mut start = [0; 8];
        start.copy_from_slice(&self.bytes[..8]);
        let start = u64::from_le_bytes(start) as usize;
        &arena[start..start + length]
    }

    fn is_short(&self) -> bool {
        self.length as usize <= SHORT
    }
}

impl Keys {
    pub fn new(types: &[DataType]) -> Result<Self> {
        Ok(Self {
            codec: KeyCodec::new(types)?,
            table: HashTable::new(),
            places: vec![],
            arena: vec![],
            removed_bytes: 0,
            free: vec![],
            bytes: 0,
            global: types.is_empty(),
        })
    }

    /// The bytes of each row's key.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Rows> {
        self.codec.encode(columns)
    }

    /// The keys of `rows` rows with their hashes, for [`Keys::intern_rows`].
    pub fn hashed(&self, columns: &[ArrayRef], rows: usize) -> Result<EncodedKeys> {
        self.codec.hashed(columns, rows)
    }

    /// The slot of each row's key; new keys get one. `rows` counts where there are no key columns.
    pub fn intern(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        if self.global {
            let slot = self.intern_bytes(&[]);
            return Ok(vec![slot; rows]);
        }
        let encoded = self.codec.hashed(columns, rows)?;
        Ok((0..rows).map(|row| self.intern_hashed(encoded.key(row), encoded.hashes[row])).collect())
    }

    /// The slots of the keys at `rows` of a batch; new keys get one.
    pub fn intern_rows(&mut self, encoded: &EncodedKeys, rows: &[u32]) -> Vec<u32> {
        let slot = |row: &u32| {
            let row = *row as usize;
            self.intern_hashed(encoded.key(row), encoded.hashes[row])
        };
        rows.iter().map(slot).collect()
    }

    /// The slot of an encoded key; a new key gets one.
    pub fn intern_bytes(&mut self, key: &[u8]) -> u32 {
        self.intern_hashed(key, key_hash(key))
    }

    /// The slots of keys held elsewhere; new keys get one.
    pub fn intern_slots(&mut self, other: &Self, slots: &[u32]) -> Vec<u32> {
        let slot = |slot: &u32| self.intern_hashed(other.key(*slot), other.place(*slot).hash);
        slots.iter().map(slot).collect()
    }

    fn intern_hashed(&mut self, key: &[u8], hash: u64) -> u32 {
        let (places, arena) = (&mut self.places, &mut self.arena);
        let held = |slot: &u32| {
            let place = &places[*slot as usize];
            place.hash == hash && place.key(arena) == key
        };
        if let Some(slot) = self.table.find(hash, held) {
            return *slot;
        }
        let place = Place::new(key, hash, arena);
        self.bytes += key.len();
        let slot = match self.free.pop() {
            Some(slot) => {
                places[slot as usize] = place;
                slot
            }
            None => {
                places.push(place);
                (places.len() - 1) as u32
            }
        };
        self.table.insert_unique(hash, slot, |slot| places[*slot as usize].hash);
        slot
    }

    /// The slot of an encoded key, where it has one.
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        let hash = key_hash(key);
        let held = |slot: &u32| {
            let place = &self.places[*slot as usize];
            place.hash == hash && place.key(&self.arena) == key
        };
        self.table.find(hash, held).copied()
    }

    pub fn remove(&mut self, slot: u32) {
        let place = &mut self.places[slot as usize];
        if place.length == VACANT {
            return;
        }
        if let Ok(entry) = self.table.find_entry(place.hash, |held| *held == slot) {
            entry.remove();
        }
        self.bytes -= place.length as usize;
        if !place.is_short() {
            self.removed_bytes += place.length as usize;
        }
        place.length = VACANT;
        self.free.push(slot);
        if self.removed_bytes > REMOVED_BYTES_MIN.max(self.arena.len() / 2) {
            self.compact();
        }
    }

    fn compact(&mut self) {
        let mut arena = Vec::with_capacity(self.arena.len() - self.removed_bytes);
        for place in self.places.iter_mut().filter(|place| place.length != VACANT) {
            if !place.is_short() {
                *place = Place::new(place.key(&self.arena), place.hash, &mut arena);
            }
        }
        self.arena = arena;
        self.removed_bytes = 0;
    }

    /// Makes room for so many keys more.
    pub fn reserve(&mut self, more: usize) {
        let places = &self.places;
        self.table.reserve(more, |slot| places[*slot as usize].hash);
        self.places.reserve(more);
    }

    /// Keys held.
    pub fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One more than the greatest slot given out: how long vectors by slot must be.
    pub fn slots_len(&self) -> usize {
        self.places.len()
    }

    /// The slots in use, ascending.
    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        let used = |(_, place): &(usize, &Place)| place.length != VACANT;
        self.places.iter().enumerate().filter(used).map(|(slot, _)| slot as u32)
    }

    /// Encoded key of a slot in use.
    pub fn key(&self, slot: u32) -> &[u8] {
        self.place(slot).key(&self.arena)
    }

    /// Key columns of slots in use.
    pub fn columns(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        if self.global {
            return Ok(vec![]);
        }
        self.codec.decode(slots.iter().map(|slot| self.key(*slot)))
    }

    /// Key columns of encoded keys, whether they are held or not.
    pub fn decode<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        match self.global {
            true => Ok(vec![]),
            false => self.codec.decode(keys),
        }
    }

    pub fn key_group(&self, slot: u32) -> u16 {
        key_group(self.place(slot).hash)
    }

    /// Whether a slot that was given out is in use still.
    pub fn has(&self, slot: u32) -> bool {
        self.places[slot as usize].length != VACANT
    }

    /// Bytes of memory that keys and slots take, about.
    pub fn memory(&self) -> usize {
        self.arena.capacity() + self.slots_len() * SLOT_BYTES
    }

    /// Bytes of the keys held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn place(&self, slot: u32) -> &Place {
        let place = &self.places[slot as usize];
        assert_ne!(place.length, VACANT, "the slot is in use");
        place
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
    fn keys_outlive_the_removal_of_others() {
        let mut keys = Keys::new(&[DataType::Utf8]).unwrap();
        let name = |number: usize| format!("key {number} {}", "x".repeat(number % 50));
        let slots: Vec<u32> =
            (0..10_000).map(|number| keys.intern_bytes(name(number).as_bytes())).collect();
        let stays = |number: &usize| number.is_multiple_of(7);
        (0..10_000).filter(|number| !stays(number)).for_each(|number| keys.remove(slots[number]));
        for number in (0..10_000).filter(stays) {
            assert_eq!(keys.find(name(number).as_bytes()), Some(slots[number]));
            assert_eq!(keys.key(slots[number]), name(number).as_bytes());
        }
        assert_eq!(keys.find(name(1).as_bytes()), None);
        let left: usize = (0..10_000).filter(stays).map(|number| name(number).len()).sum();
        assert_eq!(keys.bytes(), left);
        assert!(keys.arena.len() <= 2 * left + REMOVED_BYTES_MIN, "{}", keys.arena.len());
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
