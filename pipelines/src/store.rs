//! Which feature store the server reads: the one the jobs write to.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use nowcast_connectors::Store;

use crate::home::Home;
use crate::pipeline::Running;

/// The store behind the `redis` tables of the running jobs; the embedded one where there are none.
pub async fn serving_store(home: &Home, running: &[Running]) -> Result<Arc<dyn Store>> {
    let connectors = home.connectors();
    let mut places = BTreeMap::new();
    for table in running.iter().flat_map(|running| &running.tables) {
        if let Some(place) = connectors.store_place(table)? {
            places.entry(place).or_insert(table);
        }
    }
    if places.len() > 1 {
        let names: Vec<&str> = places.keys().map(String::as_str).collect();
        bail!("the tables use {} stores ({}); HTTP can serve one", names.len(), names.join(", "));
    }
    let Some((_, table)) = places.pop_first() else { return Ok(Arc::clone(&home.store) as _) };
    match connectors.stored_table(table).await? {
        Some(stored) => Ok(stored.store),
        None => Ok(Arc::clone(&home.store) as _),
    }
}
