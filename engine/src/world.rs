//! Everything a job meets that a test replaces: clock, store, the places for rows set aside.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;

use crate::aside::{Aside, Discard};
use crate::batch::Batch;
use crate::time::Millis;

pub trait Clock: Send + Sync {
    /// Wall clock, ms since the epoch.
    fn now(&self) -> Millis;

    /// Returns after this time.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(time).boxed()
    }
}

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place that reads it
    fn now(&self) -> Millis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_millis() as Millis)
    }
}

/// Sees the rows of each sink once they are readable outside, for live feeds.
pub trait Tap: Send + Sync {
    fn rows(&self, sink: &str, batch: &Batch);
}

/// Sees nothing.
pub struct NoTap;

impl Tap for NoTap {
    fn rows(&self, _sink: &str, _batch: &Batch) {}
}

/// The outside of a job.
#[derive(Clone)]
pub struct World {
    pub clock: Arc<dyn Clock>,
    /// Where checkpoints live; `None`: the job takes none.
    pub store: Option<Arc<dyn ObjectStore>>,
    pub aside: Arc<dyn Aside>,
    pub tap: Arc<dyn Tap>,
}

impl World {
    /// The machine's clock and nothing else.
    pub fn bare() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            store: None,
            aside: Arc::new(Discard),
            tap: Arc::new(NoTap),
        }
    }
}
