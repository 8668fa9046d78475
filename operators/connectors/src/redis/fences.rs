//! The fences behind which the runs of this process write.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use nowcast_engine::Result;
use tokio::sync::Mutex;

use crate::store::{Fence, RedisStore};

/// By run, place and keys: all writers of a run share one, as none of them takes over from another.
#[derive(Default)]
pub struct Fences(Mutex<HashMap<Writers, Weak<Fence>>>);

/// Who writes behind one fence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Writers {
    pub job: String,
    /// Number of the run.
    pub run: u64,
    pub place: String,
    pub prefix: String,
}

impl Fences {
    /// The first to ask fences earlier runs off.
    pub async fn of(
        &self,
        writers: Writers,
        store: &RedisStore,
        remembered: Duration,
    ) -> Result<Arc<Fence>> {
        let mut fences = self.0.lock().await;
        if let Some(known) = fences.get(&writers).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let raised = Fence::raise(store, &writers.job, &writers.prefix, remembered).await?;
        let raised = Arc::new(raised);
        fences.retain(|_, fence| fence.strong_count() > 0);
        fences.insert(writers, Arc::downgrade(&raised));
        Ok(raised)
    }
}
