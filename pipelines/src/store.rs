//! Which feature store the server reads: the one the jobs write to.

use std::sync::Arc;

use anyhow::{Result, bail};
use nowcast_connectors::{RedisStore, Store};

use crate::home::Home;
use crate::pipeline::Running;

/// The store behind the `redis` tables of the running jobs; the embedded one where there are none.
pub async fn serving_store(home: &Home, running: &[Running]) -> Result<Arc<dyn Store>> {
    let tables = running.iter().flat_map(|running| &running.tables);
    let mut urls: Vec<&str> = tables
        .filter(|table| table.options.get("connector").is_some_and(|name| name == "redis"))
        .filter_map(|table| table.options.get("url").map(String::as_str))
        .collect();
    urls.sort_unstable();
    urls.dedup();
    match urls.as_slice() {
        [] => Ok(Arc::clone(&home.store) as _),
        [url] if url.starts_with("embedded") => Ok(Arc::clone(&home.store) as _),
        [url] => Ok(Arc::new(RedisStore::connect(url).await?)),
        more => {
            bail!("the tables use {} stores ({}); HTTP can serve one", more.len(), more.join(", "))
        }
    }
}
