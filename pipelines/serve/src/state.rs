//! What a server shows: the store, the feeds and the job behind them.

use std::collections::BTreeSet;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::Value;

use crate::feeds::Feeds;
use crate::reader::Reader;

/// What the server asks of the job it stands before. Both are called for each request and must
/// answer from memory.
pub trait JobStatus: Send + Sync {
    /// The answer of `/status`, as it is.
    fn status(&self) -> Value;

    /// `Err` says in words why look-ups should not be sent here yet, or any more.
    fn ready(&self) -> Result<(), String>;
}

/// Everything a request may need. Cloning shares it.
#[derive(Clone)]
pub struct AppState {
    pub reader: Arc<dyn Reader>,
    pub feeds: Arc<Feeds>,
    pub job: Arc<dyn JobStatus>,
    /// Renders `/metrics`; without it the endpoint answers 404.
    pub metrics: Option<PrometheusHandle>,
    /// The tables that `/v1/features` may read; `None` is every key of the store. Name them where
    /// the store is shared with others.
    pub tables: Option<Arc<BTreeSet<String>>>,
}
