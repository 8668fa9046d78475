//! The bound on bytes in flight: large requests and fetch responses take permits for their size.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests below this are not counted: their number is bounded by the connections.
pub(crate) const UNCOUNTED_BYTES: usize = 64 << 10;

/// Permits are in units of this many bytes, so that 32 bits of them cover any bound.
const UNIT_BYTES: usize = 1024;

#[derive(Debug)]
pub(crate) struct Memory {
    permits: Arc<Semaphore>,
    units: usize,
}

/// Holds its share of the bound until dropped.
pub(crate) type Held = OwnedSemaphorePermit;

impl Memory {
    pub fn new(bytes_max: usize) -> Memory {
        let units = (bytes_max / UNIT_BYTES).min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Memory { permits: Arc::new(Semaphore::new(units)), units }
    }

    /// Waits until `bytes` fit. A holder must not wait for more: two such would wait for ever.
    pub async fn hold(&self, bytes: usize) -> Option<Held> {
        if bytes < UNCOUNTED_BYTES {
            return None;
        }
        let units = bytes.div_ceil(UNIT_BYTES).min(self.units);
        let permits = Arc::clone(&self.permits);
        Some(permits.acquire_many_owned(units as u32).await.expect("the semaphore is never closed"))
    }

    pub fn held_bytes(&self) -> usize {
        (self.units - self.permits.available_permits()) * UNIT_BYTES
    }
}
