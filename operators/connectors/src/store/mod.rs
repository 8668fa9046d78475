//! Stores of the latest row by key: what the `redis` sink writes and serving reads.

mod embedded;
mod log;
mod redis;

use std::time::Duration;

use async_trait::async_trait;
use nowcast_engine::Result;

pub use self::embedded::EmbeddedStore;
pub use self::redis::{Fence, Patience, RedisAddress, RedisStore, Stamp, VERSION_FIELD};

/// Fields of a key and their values, ascending by name, whatever the store.
pub type Fields = Vec<(String, String)>;

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write<'a> {
    Put {
        key: &'a str,
        /// Fields to set; others of the key stay.
        set: Vec<(&'a str, &'a str)>,
        /// Fields to delete.
        remove: Vec<&'a str>,
        /// From now; `None` leaves the time to live as it is.
        ttl: Option<Duration>,
        /// Of fields among those that are set.
        field_ttls: Vec<(&'a str, Duration)>,
    },
    Delete {
        key: &'a str,
    },
}

impl<'a> Write<'a> {
    pub fn key(&self) -> &'a str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// Hashes by key. A key without fields is not there.
///
/// All stores behave alike: the same writes give the same answers.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes the changes, in order. Returns when the store has acknowledged all of them; after an
    /// error some may have been made. Repeating writes changes nothing.
    async fn put(&self, writes: &[Write<'_>]) -> Result<()>;

    /// As [`Store::put`], each key once: what an older stamp writes later is passed over, and refused
    /// once another run of the job has taken over. A store that has one writer at a time needs no stamps.
    async fn put_as(&self, writes: &[Write<'_>], _stamp: &Stamp<'_>) -> Result<()> {
        self.put(writes).await
    }

    async fn get(&self, key: &str) -> Result<Option<Fields>>;

    /// As [`Store::get`], in one round trip; the answers are in the order of the keys.
    async fn multi_get(&self, keys: &[String]) -> Result<Vec<Option<Fields>>>;

    /// At most `limit` keys that begin with `prefix`, ascending. Which ones, where there are more,
    /// is up to the store.
    async fn scan(&self, prefix: &str, limit: usize) -> Result<Vec<String>>;
}

#[cfg(test)]
mod tests;
