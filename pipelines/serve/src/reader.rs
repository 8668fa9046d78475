//! What the server reads features with: one hash by key, or many at once.

use async_trait::async_trait;
use nowcast_engine::Result;

/// The fields of one key, in the order of the store.
pub type Fields = Vec<(String, String)>;

/// A feature store as the server sees it. Keys are whole: `table:key`.
#[async_trait]
pub trait Reader: Send + Sync {
    /// The fields of each key, in the order of `keys`; `None` where the store has no such key.
    ///
    /// Errors of kind `Outside` become 503 for the client, others 500.
    async fn multi_get(&self, keys: &[String]) -> Result<Vec<Option<Fields>>>;
}

/// The fields of one key.
pub(crate) async fn get(reader: &dyn Reader, key: String) -> Result<Option<Fields>> {
    Ok(reader.multi_get(&[key]).await?.pop().flatten())
}
