//! A store inside the process, kept in a file where a folder is given.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use dashmap::DashMap;
use nowcast_engine::{Millis, Result};

use super::log::{Entry, Log, Put, encode};
use super::{Fields, Store, Write};

/// The log is rewritten when it is this many times as long as after the last rewrite…
const COMPACT_FACTOR: u64 = 2;
/// …and longer than this: below, rewriting saves nothing worth having.
const COMPACT_BYTES_MIN: u64 = 1 << 20;

/// Reads are concurrent with each other and with writes; writes take turns.
pub struct EmbeddedStore {
    rows: DashMap<Arc<str>, Row>,
    writer: Mutex<Writer>,
    now: Box<dyn Fn() -> Millis + Send + Sync>,
}

struct Row {
    fields: BTreeMap<String, String>,
    expires: Option<Millis>,
}

struct Writer {
    keys: BTreeSet<Arc<str>>,
    expiry: BTreeSet<(Millis, Arc<str>)>,
    log: Option<Log>,
    /// Bytes of the log when it last held live entries alone.
    log_live: u64,
    /// Bytes of keys, fields and values held.
    bytes: u64,
}

impl EmbeddedStore {
    /// A store that ends with the process.
    pub fn in_memory() -> Self {
        Self::with_clock(system_millis)
    }

    /// A store that ends with the process and expires by another clock.
    pub fn with_clock(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        let writer = Writer {
            keys: BTreeSet::new(),
            expiry: BTreeSet::new(),
            log: None,
            log_live: 0,
            bytes: 0,
        };
        Self { rows: DashMap::new(), writer: Mutex::new(writer), now: Box::new(now) }
    }

    /// A store kept in `dir`, with what is there from earlier runs.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_with_clock(dir, system_millis)
    }

    /// As [`EmbeddedStore::open`], expiring by another clock.
    pub fn open_with_clock(
        dir: &Path,
        now: impl Fn() -> Millis + Send + Sync + 'static,
    ) -> Result<Self> {
        let store = Self::with_clock(now);
        {
            let mut writer = store.writer();
            let log = Log::open(dir, |entry| store.apply(&mut writer, entry))?;
            writer.log = Some(log);
            store.expire(&mut writer);
            writer.log_live = store.encode_all(&writer.keys).len() as u64;
        }
        Ok(store)
    }

    /// Keys held.
    pub fn len(&self) -> usize {
        let mut writer = self.writer();
        self.expire(&mut writer);
        writer.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of keys, fields and values held.
    pub fn bytes(&self) -> u64 {
        self.writer().bytes
    }

    /// As [`Store::put`], without an executor.
    pub fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        let now = (self.now)();
        let mut writer = self.writer();
        let mut encoded = vec![];
        for write in writes {
            let entry = entry(write, now);
            if writer.log.is_some() {
                encode(&entry, &mut encoded);
            }
            self.apply(&mut writer, entry);
        }
        self.expire(&mut writer);
        let Writer { keys, log: Some(log), log_live, .. } = &mut *writer else { return Ok(()) };
        log.append(&encoded)?;
        if log.bytes() > COMPACT_BYTES_MIN.max(COMPACT_FACTOR * *log_live) {
            log.rewrite(&self.encode_all(keys))?;
            *log_live = log.bytes();
        }
        Ok(())
    }

    /// As [`Store::get`], without an executor.
    pub fn read(&self, key: &str) -> Option<Fields> {
        let row = self.rows.get(key)?;
        let live = row.expires.is_none_or(|expires| expires > (self.now)());
        live.then(|| row.fields.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    /// As [`Store::scan`], without an executor.
    pub fn keys(&self, prefix: &str, limit: usize) -> Vec<String> {
        let mut writer = self.writer();
        self.expire(&mut writer);
        let range = (Bound::Included(prefix), Bound::Unbounded);
        let from = writer.keys.range::<str, _>(range);
        let with = from.take_while(|key| key.starts_with(prefix)).take(limit);
        with.map(|key| key.to_string()).collect()
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Writer> {
        // A panic elsewhere leaves at worst a key in one index and not in the other.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, writer: &mut Writer, entry: Entry) {
        let Entry { key, put } = entry;
        let Some(Put { set, remove, expires }) = put else {
            self.remove(writer, &key);
            return;
        };
        // What has expired is gone, even if nobody has swept it yet.
        let stale = |row: &Row| row.expires.is_some_and(|expires| expires <= (self.now)());
        if self.rows.get(key.as_str()).is_some_and(|row| stale(&row)) {
            self.remove(writer, &key);
        }
        let key = match writer.keys.get(key.as_str()) {
            Some(key) => Arc::clone(key),
            None if set.is_empty() => return,
            None => {
                let key: Arc<str> = key.into();
                writer.keys.insert(Arc::clone(&key));
                writer.bytes += key.len() as u64;
                key
            }
        };
        let mut row = self
            .rows
            .entry(Arc::clone(&key))
            .or_insert_with(|| Row { fields: BTreeMap::new(), expires: None });
        for (name, value) in set {
            writer.bytes += (name.len() + value.len()) as u64;
            let size = name.len();
            if let Some(old) = row.fields.insert(name, value) {
                writer.bytes -= (size + old.len()) as u64;
            }
        }
        for name in remove {
            if let Some(old) = row.fields.remove(&name) {
                writer.bytes -= (name.len() + old.len()) as u64;
            }
        }
        if let Some(expires) = expires {
            if let Some(old) = row.expires.replace(expires) {
                writer.expiry.remove(&(old, Arc::clone(&key)));
            }
            writer.expiry.insert((expires, Arc::clone(&key)));
        }
        let empty = row.fields.is_empty();
        drop(row);
        if empty {
            self.remove(writer, &key);
        }
    }

    fn remove(&self, writer: &mut Writer, key: &str) {
        let Some((key, row)) = self.rows.remove(key) else { return };
        let fields = row.fields.iter().map(|(name, value)| name.len() + value.len());
        writer.bytes -= (key.len() + fields.sum::<usize>()) as u64;
        writer.keys.remove(&key);
        if let Some(expires) = row.expires {
            writer.expiry.remove(&(expires, key));
        }
    }

    /// Drops the keys whose time is up.
    fn expire(&self, writer: &mut Writer) {
        let now = (self.now)();
        while let Some((expires, key)) = writer.expiry.first().cloned() {
            if expires > now {
                return;
            }
            self.remove(writer, &key);
        }
    }

    fn encode_all(&self, keys: &BTreeSet<Arc<str>>) -> Vec<u8> {
        let mut encoded = vec![];
        for key in keys {
            let Some(row) = self.rows.get(key) else { continue };
            let set = row.fields.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            let put = Put { set, remove: vec![], expires: row.expires };
            encode(&Entry { key: key.to_string(), put: Some(put) }, &mut encoded);
        }
        encoded
    }
}

fn entry(write: &Write<'_>, now: Millis) -> Entry {
    let key = write.key().to_owned();
    match write {
        Write::Delete { .. } => Entry { key, put: None },
        Write::Put { set, remove, ttl, .. } => {
            let set = set.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let remove = remove.iter().map(|name| (*name).into()).collect();
            let ttl = ttl.map(|ttl| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
            let expires = ttl.map(|ttl| now.saturating_add(ttl));
            Entry { key, put: Some(Put { set, remove, expires }) }
        }
    }
}

fn system_millis() -> Millis {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Nothing here waits: memory, and at most one write to the page cache.
#[async_trait]
impl Store for EmbeddedStore {
    async fn put(&self, writes: &[Write<'_>]) -> Result<()> {
        self.write(writes)
    }

    async fn get(&self, key: &str) -> Result<Option<Fields>> {
        Ok(self.read(key))
    }

    async fn multi_get(&self, keys: &[String]) -> Result<Vec<Option<Fields>>> {
        Ok(keys.iter().map(|key| self.read(key)).collect())
    }

    async fn scan(&self, prefix: &str, limit: usize) -> Result<Vec<String>> {
        Ok(self.keys(prefix, limit))
    }
}
