//! The options `lookup.*`, as Flink names them.

use std::time::Duration;

use nowcast_engine::{LookupCache, LookupOptions, Result};

use crate::options::Options;

/// Flink's default of `lookup.max-retries`.
const RETRIES: usize = 3;

/// Keys kept where `lookup.partial-cache.max-rows` does not say how many: a bound that fits memory.
const CACHE_KEYS: usize = 100_000;

/// How long answers live by the older `lookup.cache.max-rows` where no `lookup.cache.ttl` is given,
/// as in Flink.
const OLD_TTL: Duration = Duration::from_secs(10);

/// Reads the options of a table that is asked row by row.
pub fn read(options: &Options<'_>) -> Result<LookupOptions> {
    let retries = options.parsed("lookup.max-retries", "a number")?.unwrap_or(RETRIES);
    let millis = |key: &str| -> Result<Option<i64>> {
        Ok(options.duration(key)?.map(|time| time.as_millis() as i64))
    };
    let keys_max = options.parsed("lookup.partial-cache.max-rows", "a number of rows")?;
    let partial = LookupCache {
        keys_max: keys_max.unwrap_or(CACHE_KEYS),
        expire_after_write_ms: millis("lookup.partial-cache.expire-after-write")?,
        expire_after_access_ms: millis("lookup.partial-cache.expire-after-access")?,
        missing: options.flag("lookup.partial-cache.cache-missing-key", true)?,
    };
    let old = old_cache(options)?;
    let cache = match options.text("lookup.cache").unwrap_or("NONE") {
        "NONE" => old,
        "PARTIAL" => Some(partial),
        other => return Err(options.refuse("lookup.cache", other, "NONE or PARTIAL")),
    };
    Ok(LookupOptions { cache, retries })
}

/// The cache as files older than `lookup.cache` ask for it.
fn old_cache(options: &Options<'_>) -> Result<Option<LookupCache>> {
    let keys_max: Option<i64> = options.parsed("lookup.cache.max-rows", "a number of rows")?;
    let ttl = options.duration("lookup.cache.ttl")?.unwrap_or(OLD_TTL);
    let missing = options.flag("lookup.cache.caching-missing-key", true)?;
    let keys_max = keys_max.filter(|keys| *keys > 0 && !ttl.is_zero());
    Ok(keys_max.map(|keys| LookupCache {
        keys_max: keys as usize,
        expire_after_write_ms: Some(ttl.as_millis() as i64),
        expire_after_access_ms: None,
        missing,
    }))
}

/// Reads `lookup.cache` of a table that is always kept whole.
pub fn read_full(options: &Options<'_>) -> Result<()> {
    match options.text("lookup.cache") {
        None | Some("FULL") => Ok(()),
        Some(other) => Err(options.refuse("lookup.cache", other, "FULL")),
    }
}
