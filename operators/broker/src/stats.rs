//! Counters of the broker, for status pages and metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since start. Each is exact; together they are not one instant.
#[derive(Debug, Default)]
pub struct Stats {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_refused: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) batches_appended: AtomicU64,
    pub(crate) records_appended: AtomicU64,
    pub(crate) record_bytes_appended: AtomicU64,
    pub(crate) duplicates: AtomicU64,
}

/// [`Stats`] read at one moment, with the gauges beside the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatsSnapshot {
    /// Open now.
    pub connections: u64,
    /// Closed at once since `connections_max` was reached.
    pub connections_refused: u64,
    pub requests: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub batches_appended: u64,
    pub records_appended: u64,
    pub record_bytes_appended: u64,
    /// Batches that an idempotent producer sent again and that were recognised.
    pub duplicates: u64,
    /// Held of `in_flight_bytes_max` now.
    pub in_flight_bytes: u64,
    pub groups: u64,
    pub partitions: u64,
}

impl Stats {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }

    pub(crate) fn snapshot(&self) -> StatsSnapshot {
        StatsSnapshot {
            connections: self.connections.load(Relaxed),
            connections_refused: self.connections_refused.load(Relaxed),
            requests: self.requests.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            batches_appended: self.batches_appended.load(Relaxed),
            records_appended: self.records_appended.load(Relaxed),
            record_bytes_appended: self.record_bytes_appended.load(Relaxed),
            duplicates: self.duplicates.load(Relaxed),
            ..StatsSnapshot::default()
        }
    }
}
