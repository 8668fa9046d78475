//! A store inside the process, kept in a file where a folder is given.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use dashmap::DashMap;
use hashbrown::DefaultHashBuilder;
use nowcast_engine::{Millis, Result};

use super::log::{Change, Log, Put, encode};
use super::{Fields, Store, Write};

/// The log is rewritten when it is this many times as long as after the last rewrite…
const COMPACT_FACTOR: u64 = 2;
/// …and longer than this: below, rewriting saves nothing worth having.
const COMPACT_BYTES_MIN: u64 = 4 << 20;

/// Reads are concurrent with each other and with writes; writes take turns.
pub struct EmbeddedStore {
    rows: DashMap<Arc<str>, Row, DefaultHashBuilder>,
    writer: Mutex<Writer>,
    now: Box<dyn Fn() -> Millis + Send + Sync>,
}

struct Row {
    /// Ascending by name.
    fields: Vec<(Arc<str>, String)>,
    expires: Option<Millis>,
    /// Where in [`Writer::expiry`] it is: when it expires, or earlier where that has been put off since.
    looked_at: Option<Millis>,
}

struct Writer {
    keys: BTreeSet<Arc<str>>,
    /// Names of fields, which many rows share.
    names: HashSet<Arc<str>>,
    /// For each key with a time to live, when to look at it.
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
            names: HashSet::new(),
            expiry: BTreeSet::new(),
            log: None,
            log_live: 0,
            bytes: 0,
        };
        Self { rows: DashMap::default(), writer: Mutex::new(writer), now: Box::new(now) }
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
            let log = Log::open(dir, |change| store.apply(&mut writer, &change))?;
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
            let change = change(write, now);
            if writer.log.is_some() {
                encode(&change, &mut encoded);
            }
            self.apply(&mut writer, &change);
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
        live.then(|| row.fields.iter().map(|(k, v)| (k.to_string(), v.clone())).collect())
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

    fn apply(&self, writer: &mut Writer, change: &Change<'_>) {
        let Change { key, at: now, put } = change;
        let Some(put) = put else {
            self.remove(writer, key);
            return;
        };
        let Some(mut row) = self.rows.get_mut(*key) else { return self.begin(writer, key, put) };
        if row.expires.is_some_and(|expires| expires <= *now) {
            // What has expired is gone, even if nobody has swept it yet.
            drop(row);
            self.remove(writer, key);
            return self.begin(writer, key, put);
        }
        writer.update(&mut row, put);
        if let Some(expires) = put.expires {
            row.expires = Some(expires);
            if row.looked_at.is_none_or(|at| expires < at) {
                let key = Arc::clone(row.key());
                writer.look(&mut row, key, expires);
            }
        }
        let empty = row.fields.is_empty();
        drop(row);
        if empty {
            self.remove(writer, key);
        }
    }

    /// A key that is not there.
    fn begin(&self, writer: &mut Writer, key: &str, put: &Put<'_>) {
        if put.set.is_empty() {
            return;
        }
        let key: Arc<str> = key.into();
        let fields = Vec::with_capacity(put.set.len());
        let mut row = Row { fields, expires: put.expires, looked_at: None };
        writer.update(&mut row, put);
        if row.fields.is_empty() {
            return;
        }
        writer.bytes += key.len() as u64;
        writer.keys.insert(Arc::clone(&key));
        if let Some(expires) = put.expires {
            writer.look(&mut row, Arc::clone(&key), expires);
        }
        self.rows.insert(key, row);
    }

    fn remove(&self, writer: &mut Writer, key: &str) {
        let Some((key, row)) = self.rows.remove(key) else { return };
        let fields = row.fields.iter().map(|(name, value)| name.len() + value.len());
        writer.bytes -= (key.len() + fields.sum::<usize>()) as u64;
        writer.keys.remove(&key);
        if let Some(at) = row.looked_at {
            writer.expiry.remove(&(at, key));
        }
    }

    /// Drops the keys whose time is up.
    fn expire(&self, writer: &mut Writer) {
        let now = (self.now)();
        while writer.expiry.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, key)) = writer.expiry.pop_first() else { return };
            let Some(mut row) = self.rows.get_mut(&key) else { continue };
            row.looked_at = None;
            match row.expires {
                Some(expires) if expires > now => writer.look(&mut row, Arc::clone(&key), expires),
                _ => {
                    drop(row);
                    self.remove(writer, &key);
                }
            }
        }
    }

    fn encode_all(&self, keys: &BTreeSet<Arc<str>>) -> Vec<u8> {
        let (mut encoded, at) = (vec![], (self.now)());
        for key in keys {
            let Some(row) = self.rows.get(key) else { continue };
            let set: Vec<_> = row.fields.iter().map(|(k, v)| (&**k, v.as_str())).collect();
            let put = Put { set: &set, remove: &[], expires: row.expires };
            encode(&Change { key, at, put: Some(put) }, &mut encoded);
        }
        encoded
    }
}

impl Writer {
    /// Has a row looked at then, and no more when it was to be.
    fn look(&mut self, row: &mut Row, key: Arc<str>, at: Millis) {
        if let Some(before) = row.looked_at.replace(at) {
            self.expiry.remove(&(before, Arc::clone(&key)));
        }
        self.expiry.insert((at, key));
    }

    /// Sets and removes fields, in the memory of the values before.
    fn update(&mut self, row: &mut Row, put: &Put<'_>) {
        let place = |row: &Row, name: &str| row.fields.binary_search_by(|(at, _)| (**at).cmp(name));
        for (name, value) in put.set {
            match place(row, name) {
                Ok(at) => {
                    let held = &mut row.fields[at].1;
                    self.bytes = self.bytes - held.len() as u64 + value.len() as u64;
                    held.clear();
                    held.push_str(value);
                }
                Err(at) => {
                    self.bytes += (name.len() + value.len()) as u64;
                    row.fields.insert(at, (self.name(name), (*value).to_owned()));
                }
            }
        }
        for name in put.remove {
            if let Ok(at) = place(row, name) {
                let (name, value) = row.fields.remove(at);
                self.bytes -= (name.len() + value.len()) as u64;
            }
        }
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }
}

fn change<'a>(write: &'a Write<'_>, now: Millis) -> Change<'a> {
    let put = match write {
        Write::Delete { .. } => None,
        Write::Put { set, remove, ttl, .. } => {
            let ttl = ttl.map(|ttl| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
            let expires = ttl.map(|ttl| now.saturating_add(ttl));
            Some(Put { set, remove, expires })
        }
    };
    Change { key: write.key(), at: now, put }
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
