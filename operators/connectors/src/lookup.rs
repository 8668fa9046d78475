//! The options `lookup.*`, as Flink names them.

use nowcast_engine::{LookupCache, LookupOptions, Result};

use crate::options::Options;

/// Flink's default of `lookup.max-retries`.
const RETRIES: usize = 3;

/// Keys kept where `lookup.partial-cache.max-rows` does not say how many: a bound that fits memory.
const CACHE_KEYS: usize = 100_000;

/// Reads the options of a table that is asked row by row.
pub fn read(options: &Options<'_>) -> Result<LookupOptions> {
    let retries = options.parsed("lookup.max-retries", "a number")?.unwrap_or(RETRIES);
    let keys_max = options.parsed("lookup.partial-cache.max-rows", "a number of rows")?;
    let expire = options.duration("lookup.partial-cache.expire-after-write")?;
    let missing = options.flag("lookup.partial-cache.cache-missing-key", true)?;
    let cache = match options.text("lookup.cache").unwrap_or("NONE") {
        "NONE" => None,
        "PARTIAL" => Some(LookupCache {
            keys_max: keys_max.unwrap_or(CACHE_KEYS),
            expire_after_write_ms: expire.map(|time| time.as_millis() as i64),
            missing,
        }),
        other => return Err(options.refuse("lookup.cache", other, "NONE or PARTIAL")),
    };
    Ok(LookupOptions { cache, retries })
}

/// Reads `lookup.cache` of a table that is always kept whole.
pub fn read_full(options: &Options<'_>) -> Result<()> {
    match options.text("lookup.cache") {
        None | Some("FULL") => Ok(()),
        Some(other) => Err(options.refuse("lookup.cache", other, "FULL")),
    }
}
