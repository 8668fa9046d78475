//! Signs of life of the run that has a job, for one that stands by.
//!
//! They decide when another run takes over, never whether it may: what keeps two runs apart are the
//! numbers of checkpoints. A run that is slow, or cut off, may well be taken for dead.

use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::world::Clock;

/// How many signs of life a run gives in the time after which it is taken for dead.
const BEATS: u32 = 4;

/// A sign of life.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Beat {
    by: String,
    beat: u64,
}

/// The signs of life of one job, beside its checkpoints.
#[derive(Clone)]
pub struct Lease {
    store: Arc<dyn ObjectStore>,
    path: Path,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl Lease {
    /// A run that has given no sign for `timeout` is taken for dead.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        job: &str,
        timeout: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, path: Path::from(job).join("alive.json"), timeout, clock }
    }

    /// Returns when no run gives signs of life: at once where none has begun or the last has left.
    pub async fn vacant(&self) -> Result<()> {
        let mut seen = None;
        let mut silent = 0;
        loop {
            match self.last().await? {
                None => return Ok(()),
                Some(beat) if seen.as_ref() == Some(&beat) => silent += 1,
                Some(beat) => {
                    if seen.is_none() {
                        tracing::info!(by = beat.by, "standing by: another run has the job");
                    }
                    (seen, silent) = (Some(beat), 0);
                }
            }
            if silent >= BEATS {
                return Ok(());
            }
            self.clock.sleep(self.timeout / BEATS).await;
        }
    }

    /// Gives signs of life; returns when another run does.
    pub async fn keep(&self, by: &str) {
        for beat in 0.. {
            if let Err(error) = self.beat(by, beat).await {
                tracing::warn!(%error, "no sign of life given: a run that stands by may take over");
            }
            self.clock.sleep(self.timeout / BEATS).await;
            // One that cannot be read is no other run's.
            if let Ok(Some(last)) = self.last().await
                && last.by != by
            {
                return;
            }
        }
    }

    /// The run has ended: whoever stands by need not wait.
    pub async fn leave(&self, by: &str) {
        if let Ok(Some(last)) = self.last().await
            && last.by == by
            && let Err(error) = self.store.delete(&self.path).await
        {
            tracing::debug!(%error, "the last sign of life stays");
        }
    }

    async fn beat(&self, by: &str, beat: u64) -> Result<()> {
        let beat = Beat { by: by.to_owned(), beat };
        let text = serde_json::to_vec(&beat).map_err(Error::bug)?;
        let put = self.store.put(&self.path, PutPayload::from(text)).await;
        put.map(drop).map_err(|error| self.failed("cannot write", error))
    }

    async fn last(&self) -> Result<Option<Beat>> {
        let got = match self.store.get(&self.path).await {
            Ok(got) => got.bytes().await,
            Err(error) => Err(error),
        };
        match got {
            // One that is being written is a sign of life too, the next look says whose.
            Ok(text) => Ok(Some(
                serde_json::from_slice(&text).unwrap_or(Beat { by: String::new(), beat: 0 }),
            )),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("cannot read", error)),
        }
    }

    fn failed(&self, deed: &str, error: object_store::Error) -> Error {
        Error::outside(format!("{}: {deed}: {error}", self.path))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test that cannot go on should say where
mod tests {
    use futures::FutureExt;
    use object_store::memory::InMemory;

    use super::*;
    use crate::testing::FixedClock;

    fn lease() -> Lease {
        let clock = Arc::new(FixedClock(0));
        Lease::new(Arc::new(InMemory::new()), "job", Duration::from_secs(10), clock)
    }

    #[tokio::test]
    async fn a_job_that_no_run_has_is_vacant() {
        let lease = lease();
        lease.vacant().await.unwrap();
        lease.beat("a", 0).await.unwrap();
        lease.leave("b").await;
        assert_eq!(lease.last().await.unwrap().unwrap().by, "a");
        lease.leave("a").await;
        assert!(lease.vacant().now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_run_is_taken_for_dead_when_its_signs_stop() {
        let lease = lease();
        lease.beat("a", 0).await.unwrap();
        // The clock of the test lets others go first at each sleep.
        let alive = async {
            for beat in 1..50 {
                lease.beat("a", beat).await.unwrap();
                tokio::task::yield_now().await;
            }
            "gone"
        };
        let first = async {
            lease.vacant().await.unwrap();
            "vacant"
        };
        let first = futures::future::select(Box::pin(alive), Box::pin(first)).await;
        assert_eq!(first.factor_first().0, "gone");
        lease.vacant().await.unwrap();
    }

    #[tokio::test]
    async fn a_run_learns_that_another_has_the_job() {
        let lease = lease();
        let other = async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            lease.beat("b", 0).await.unwrap();
            std::future::pending::<()>().await;
        };
        futures::future::select(Box::pin(lease.keep("a")), Box::pin(other)).await;
    }
}
