//! Redis as a store: hashes, pipelined.

mod address;
mod cluster;
mod fenced;
mod link;
mod slots;

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use nowcast_engine::{Error, Result, trouble};
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, Value, cmd};
use tokio::time::Instant;

pub use self::address::RedisAddress;
pub use self::fenced::{Fence, Stamp};
use self::link::{Link, Place, Requests};
use super::{Fields, Store, Write};

/// Keys in one pipeline: enough to hide the round trip, few enough that replies stay small.
const PIPELINE_KEYS: usize = 1_000;
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// A Redis that is back is found within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Keys a SCAN looks at in one step.
const SCAN_STEP: usize = 1_000;

/// The field of a hash that holds the version of a fenced write. Readers are not shown it.
pub const VERSION_FIELD: &str = "~v";

/// What keys begin with that are no rows.
const OWN: &str = "nowcast:";

/// How long a Redis that does not answer is asked again.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub timeout: Duration,
    /// Besides the first time; `None`: as long as there is time.
    pub retries: Option<usize>,
}

impl Default for Patience {
    /// Of one who waits for the answer.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(7), retries: None }
    }
}

/// Connections made again when they break. Writes are idempotent, so they are simply repeated.
pub struct RedisStore {
    link: Link,
    name: String,
    patience: Patience,
}

impl RedisStore {
    /// Connects to `redis://[user:password@]host:port[/db]`.
    pub async fn connect(url: &str) -> Result<Self> {
        Self::open(&RedisAddress::parse(url)?, Patience::default()).await
    }

    /// Connects, once: who is not there at the beginning may be written wrong.
    pub async fn open(address: &RedisAddress, patience: Patience) -> Result<Self> {
        let name = address.name();
        let link = address.connect().await.map_err(|error| {
            Error::outside(format!("redis {name} unreachable: {}", cause(&error)))
        })?;
        Ok(Self { link, name, patience })
    }

    /// Whether all servers know a command.
    pub async fn knows(&self, command: &str) -> Result<bool> {
        let mut asked = cmd("COMMAND");
        asked.arg("INFO").arg(command);
        for master in self.masters().await? {
            let known: Vec<Value> = self.answer(&master, &asked).await?;
            if matches!(known.first(), None | Some(Value::Nil)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The answers to commands; none of them is an error that passes.
    async fn ask(&self, requests: &Requests) -> Result<Vec<Value>> {
        let mut attempts = Attempts::new();
        loop {
            let answers = match self.link.send(requests).await {
                Ok(answers) => answers,
                Err(error) => {
                    attempts.after(self, error).await?;
                    continue;
                }
            };
            match answers.iter().find_map(passing) {
                None => return Ok(answers),
                Some(error) => attempts.after(self, error).await?,
            }
        }
    }

    async fn answers<T: FromRedisValue>(&self, requests: &Requests) -> Result<Vec<T>> {
        let answers = self.ask(requests).await?.into_iter();
        answers.map(read).collect::<RedisResult<Vec<T>>>().map_err(|error| self.failed(&error))
    }

    /// The answer of one master.
    async fn answer<T: FromRedisValue>(&self, master: &Place, command: &Cmd) -> Result<T> {
        let mut attempts = Attempts::new();
        loop {
            match self.link.send_to(master, command).await.and_then(read) {
                Ok(answer) => return Ok(answer),
                Err(error) => attempts.after(self, error).await?,
            }
        }
    }

    async fn masters(&self) -> Result<Vec<Place>> {
        let mut attempts = Attempts::new();
        loop {
            match self.link.masters().await {
                Ok(masters) => return Ok(masters),
                Err(error) => attempts.after(self, error).await?,
            }
        }
    }

    fn failed(&self, error: &RedisError) -> Error {
        Error::outside(format!("redis {}: {}", self.name, cause(error)))
    }

    fn slot(&self, key: &str) -> u16 {
        if self.link.is_cluster() { slots::slot(key) } else { 0 }
    }

    fn add(&self, requests: &mut Requests, key: &str, command: Cmd) {
        requests.add(self.slot(key), command);
    }
}

/// How often, and since when, one thing has been asked.
struct Attempts {
    began: Instant,
    retries: usize,
    wait: Duration,
}

impl Attempts {
    fn new() -> Self {
        Self { began: Instant::now(), retries: 0, wait: FIRST_WAIT }
    }

    /// Waits after a failed attempt.
    ///
    /// # Errors
    /// When there is no use in another one.
    async fn after(&mut self, store: &RedisStore, error: RedisError) -> Result<()> {
        if !passes(&error) {
            return Err(store.failed(&error));
        }
        let (Self { began, retries, wait }, patience) = (&mut *self, store.patience);
        let over = patience.retries.is_some_and(|most| *retries >= most);
        if over || began.elapsed() + *wait > patience.timeout {
            let given_up = format!("given up after {retries} retries in {:.1?}", began.elapsed());
            return Err(Error::outside(format!(
                "redis {}: {}; {given_up}",
                store.name,
                cause(&error)
            )));
        }
        *retries += 1;
        let again = format!("redis {}: {}, retry {retries}", store.name, cause(&error));
        if retries.is_power_of_two() {
            tracing::warn!("{again} in {wait:?}");
        }
        trouble::report(again);
        tokio::time::sleep(*wait).await;
        *wait = (*wait * 2).min(LONGEST_WAIT);
        Ok(())
    }
}

fn read<T: FromRedisValue>(answer: Value) -> RedisResult<T> {
    Ok(redis::from_redis_value(answer.extract_error()?)?)
}

/// The error of one command among several, if it passes.
fn passing(answer: &Value) -> Option<RedisError> {
    let Value::ServerError(error) = answer else { return None };
    Some(RedisError::from(error.clone())).filter(passes)
}

fn cause(error: &RedisError) -> String {
    error.to_string().to_lowercase()
}

/// Whether the same request may succeed later.
fn passes(error: &RedisError) -> bool {
    let code = error.code().unwrap_or_default();
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_cluster_error()
        || error.kind() == ErrorKind::ClusterConnectionNotFound
        || matches!(
            code,
            "LOADING" | "BUSY" | "MASTERDOWN" | "READONLY" | "OOM" | "MISCONF" | "NOREPLICAS"
        )
}

#[async_trait]
impl Store for RedisStore {
    async fn put(&self, writes: &[Write<'_>]) -> Result<()> {
        for writes in writes.chunks(PIPELINE_KEYS) {
            let mut requests = Requests::new(writes.len());
            for write in writes {
                self.add_write(&mut requests, write);
            }
            if !requests.is_empty() {
                self.answers::<()>(&requests).await?;
            }
        }
        Ok(())
    }

    async fn put_as(&self, writes: &[Write<'_>], stamp: &Stamp<'_>) -> Result<()> {
        self.put_older(writes, stamp).await?;
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Fields>> {
        Ok(self.multi_get(&[key.to_owned()]).await?.pop().flatten())
    }

    async fn multi_get(&self, keys: &[String]) -> Result<Vec<Option<Fields>>> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(PIPELINE_KEYS) {
            let mut requests = Requests::new(keys.len());
            for key in keys {
                let mut all = cmd("HGETALL");
                all.arg(key);
                self.add(&mut requests, key, all);
            }
            let answers: Vec<Fields> = self.answers(&requests).await?;
            found.extend(answers.into_iter().map(|mut fields| {
                fields.retain(|(name, _)| name != VERSION_FIELD);
                fields.sort_unstable();
                (!fields.is_empty()).then_some(fields)
            }));
        }
        Ok(found)
    }

    async fn scan(&self, prefix: &str, limit: usize) -> Result<Vec<String>> {
        let pattern = format!("{}*", escaped(prefix));
        let mut keys = BTreeSet::new();
        for master in self.masters().await? {
            let mut cursor = 0_u64;
            loop {
                let mut scan = cmd("SCAN");
                scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_STEP);
                let (next, found): (u64, Vec<String>) = self.answer(&master, &scan).await?;
                // Fences and deleted rows are no rows.
                let ours = |key: &String| key.starts_with(OWN) && !prefix.starts_with(OWN);
                keys.extend(found.into_iter().filter(|key| !ours(key)));
                if keys.len() >= limit {
                    return Ok(keys.into_iter().take(limit).collect());
                }
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        Ok(keys.into_iter().collect())
    }
}

impl RedisStore {
    /// As [`Store::put_as`]; how many writes were passed over.
    pub async fn put_older(&self, writes: &[Write<'_>], stamp: &Stamp<'_>) -> Result<usize> {
        let mut passed = 0;
        for writes in writes.chunks(PIPELINE_KEYS) {
            passed += fenced::put(self, writes, stamp).await?;
        }
        Ok(passed)
    }

    /// Those of the keys that were last written behind this fence, or one of an earlier run.
    pub async fn owned(&self, keys: &[String], fence: &Fence) -> Result<Vec<String>> {
        let mut owned = vec![];
        for keys in keys.chunks(PIPELINE_KEYS) {
            let mut requests = Requests::new(keys.len());
            for key in keys {
                let mut version = cmd("HGET");
                version.arg(key).arg(VERSION_FIELD);
                self.add(&mut requests, key, version);
            }
            // What is no hash is no row.
            let versions = self.ask(&requests).await?.into_iter();
            let versions = versions.map(|answer| read::<Option<String>>(answer).ok().flatten());
            let of_keys = keys.iter().zip(versions);
            owned.extend(of_keys.filter(|(_, version)| fence.owns(version)).map(|(key, _)| key));
        }
        Ok(owned.into_iter().cloned().collect())
    }

    fn add_write(&self, requests: &mut Requests, write: &Write<'_>) {
        let mut add = |name: &str, fill: &dyn Fn(&mut Cmd)| {
            let mut command = cmd(name);
            command.arg(write.key());
            fill(&mut command);
            self.add(requests, write.key(), command);
        };
        let Write::Put { set, remove, ttl, field_ttls, .. } = write else {
            return add("DEL", &|_| {});
        };
        if !set.is_empty() {
            add("HSET", &|command| {
                command.arg(set);
            });
        }
        if !remove.is_empty() {
            add("HDEL", &|command| {
                command.arg(remove);
            });
        }
        if let Some(ttl) = ttl {
            add("PEXPIRE", &|command| {
                command.arg(millis(*ttl));
            });
        }
        for (field, ttl) in field_ttls {
            add("HPEXPIRE", &|command| {
                command.arg(millis(*ttl)).arg("FIELDS").arg(1).arg(field);
            });
        }
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}

/// A prefix that SCAN's pattern takes letter by letter.
fn escaped(prefix: &str) -> String {
    let mut escaped = String::with_capacity(prefix.len());
    for letter in prefix.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}
