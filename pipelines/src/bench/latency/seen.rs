//! What came out, and how long after it was due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use nowcast_bench::histogram::Latencies;
use nowcast_engine::Batch;
use nowcast_engine::world::Tap;

/// Notes when rows became readable.
pub struct Seen {
    started: Instant,
    /// Events due before are not measured; µs since the start.
    from_us: AtomicU64,
    told: Mutex<(u64, Latencies)>,
}

impl Seen {
    /// Measures nothing yet.
    pub fn new() -> Self {
        let (started, from_us) = (Instant::now(), AtomicU64::new(u64::MAX));
        Self { started, from_us, told: Mutex::new((0, Latencies::new())) }
    }

    /// Measures events that are due from then on.
    pub fn measure_from(&self, start: Duration) {
        self.from_us.store(start.as_micros() as u64, Ordering::Relaxed);
    }

    /// What the times of events count from.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Rows that were due at these times can be read now.
    pub fn rows(&self, intended_us: impl Iterator<Item = u64>) {
        let (now, from_us) = (self.elapsed(), self.from_us.load(Ordering::Relaxed));
        let mut told = self.told();
        for intended_us in intended_us {
            told.0 += 1;
            if intended_us >= from_us {
                told.1.record(Duration::from_micros(intended_us), now);
            }
        }
    }

    pub fn count(&self) -> u64 {
        self.told().0
    }

    pub fn latencies(&self) -> Latencies {
        self.told().1.clone()
    }

    fn told(&self) -> MutexGuard<'_, (u64, Latencies)> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap for Seen {
    fn rows(&self, _sink: &str, batch: &Batch) {
        let intended = batch.column(1).as_primitive::<Int64Type>();
        self.rows(intended.values().iter().map(|us| *us as u64));
    }
}
