//! The contract of tables that are looked up: keys in, rows out.

use arrow::array::{ArrayRef, RecordBatch};
use async_trait::async_trait;

use crate::error::Result;

/// A table that can be asked for the rows of some keys. It is shared by all workers.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// `keys` has an array for each key column that the look-up was made for, all of equal length:
    /// returns all rows, with all declared columns, whose key is one of them, in any order.
    ///
    /// # Errors
    /// Of kind `Outside` where asking again may help.
    async fn lookup(&self, keys: Vec<ArrayRef>) -> Result<RecordBatch>;

    fn options(&self) -> LookupOptions;
}

/// How a join asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LookupOptions {
    /// How many answers are kept, and for how long; `None`: every row asks anew.
    pub cache: Option<LookupCache>,
    /// How often a question that failed is asked again.
    pub retries: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LookupCache {
    /// Keys kept at most, the ones not asked for lately are let go first.
    pub keys_max: usize,
    pub expire_after_write_ms: Option<i64>,
    pub expire_after_access_ms: Option<i64>,
    /// Whether it is kept that a key has no rows.
    pub missing: bool,
}
