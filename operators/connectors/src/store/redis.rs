//! Redis as a store: hashes, pipelined.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use nowcast_engine::{Error, Result, trouble};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{FromRedisValue, IntoConnectionInfo, Pipeline, RedisError};

use super::{Fields, Store, Write};

/// Keys in one pipeline: enough to hide the round trip, few enough that replies stay small.
const PIPELINE_KEYS: usize = 1_000;
/// How often a pipeline is tried: with the waits between, about seven seconds.
const ATTEMPTS: u32 = 7;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// Keys a SCAN looks at in one step.
const SCAN_STEP: usize = 1_000;

/// One multiplexed connection, made again when it breaks. Writes are idempotent, so they are simply
/// repeated.
pub struct RedisStore {
    connection: ConnectionManager,
    name: String,
}

impl RedisStore {
    /// Connects to `redis://[user:password@]host:port[/db]`.
    pub async fn connect(url: &str) -> Result<Self> {
        let info = url.into_connection_info().map_err(|error| {
            Error::user(format!("redis url is redis://host:port/db: {}", cause(&error)))
        })?;
        // The password stays out of messages.
        let name = info.addr().to_string();
        let unreachable = |error: RedisError| {
            Error::outside(format!("redis {name} unreachable: {}", cause(&error)))
        };
        let client = redis::Client::open(info).map_err(unreachable)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(REPLY_TIMEOUT));
        let connection =
            ConnectionManager::new_with_config(client, config).await.map_err(unreachable)?;
        Ok(Self { connection, name })
    }

    async fn ask<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T> {
        let mut wait = FIRST_WAIT;
        for attempt in 1.. {
            let error = match pipeline.query_async(&mut self.connection.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let again = error.is_io_error() || error.is_timeout() || error.is_connection_dropped();
            let again = again || matches!(error.code(), Some("LOADING" | "BUSY" | "TRYAGAIN"));
            if !again || attempt == ATTEMPTS {
                return Err(Error::outside(format!("redis {}: {}", self.name, cause(&error))));
            }
            tracing::warn!("redis {}: {}; trying again in {wait:?}", self.name, cause(&error));
            trouble::report(format_args!(
                "redis {}: {}, retry {attempt}",
                self.name,
                cause(&error)
            ));
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        Err(Error::bug("the attempts ended without an answer"))
    }
}

fn cause(error: &RedisError) -> String {
    error.to_string().to_lowercase()
}

#[async_trait]
impl Store for RedisStore {
    async fn put(&self, writes: Vec<Write>) -> Result<()> {
        for writes in writes.chunks(PIPELINE_KEYS) {
            let mut pipeline = redis::pipe();
            for write in writes {
                add(&mut pipeline, write);
            }
            if !pipeline.is_empty() {
                self.ask::<()>(&pipeline).await?;
            }
        }
        Ok(())
    }

    async fn get(&self, key: &str) -> Result<Option<Fields>> {
        Ok(self.multi_get(&[key.to_owned()]).await?.pop().flatten())
    }

    async fn multi_get(&self, keys: &[String]) -> Result<Vec<Option<Fields>>> {
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(PIPELINE_KEYS) {
            let mut pipeline = redis::pipe();
            for key in keys {
                pipeline.cmd("HGETALL").arg(key);
            }
            let answers: Vec<Fields> = self.ask(&pipeline).await?;
            found.extend(answers.into_iter().map(|mut fields| {
                fields.sort_unstable();
                (!fields.is_empty()).then_some(fields)
            }));
        }
        Ok(found)
    }

    async fn scan(&self, prefix: &str, limit: usize) -> Result<Vec<String>> {
        let pattern = format!("{}*", escaped(prefix));
        let mut keys = BTreeSet::new();
        let mut cursor = 0_u64;
        loop {
            let mut pipeline = redis::pipe();
            let scan = pipeline.cmd("SCAN").arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(SCAN_STEP);
            let ((next, found),): ((u64, Vec<String>),) = self.ask(&pipeline).await?;
            keys.extend(found);
            if next == 0 || keys.len() >= limit {
                return Ok(keys.into_iter().take(limit).collect());
            }
            cursor = next;
        }
    }
}

fn add(pipeline: &mut Pipeline, write: &Write) {
    match write {
        Write::Delete { key } => {
            pipeline.cmd("DEL").arg(key).ignore();
        }
        Write::Put { key, set, remove, ttl } => {
            if !set.is_empty() {
                pipeline.cmd("HSET").arg(key).arg(set).ignore();
            }
            if !remove.is_empty() {
                pipeline.cmd("HDEL").arg(key).arg(remove).ignore();
            }
            if let Some(ttl) = ttl {
                let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                pipeline.cmd("PEXPIRE").arg(key).arg(millis).ignore();
            }
        }
    }
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
