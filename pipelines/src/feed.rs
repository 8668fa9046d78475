//! Events into topics at a pace: what `replay`, `demo` and `bench` have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use nowcast_bench::Event;
use nowcast_bench::replay::{Pace, Speed};

use crate::producer::Events;

/// Events sent between two looks at the clock at full speed.
const BURST: usize = 256;

/// How far a feed has come, for progress bars.
#[derive(Default)]
pub struct Progress {
    pub sent: AtomicU64,
    /// Event time of the latest event, ms.
    pub event_time: AtomicI64,
    pub stop: AtomicBool,
}

/// Sends events in their order, each when it is due; returns how many. Blocking: run it in a thread
/// of its own.
pub fn feed<E: Event>(
    producer: &Events,
    topic: &str,
    events: impl Iterator<Item = E>,
    speed: Speed,
    progress: &Arc<Progress>,
) -> Result<u64> {
    let started = Instant::now();
    let mut pace = None;
    let mut payload = Vec::with_capacity(512);
    let mut sent = 0_u64;
    for event in events {
        let time = event.event_time_ms();
        let pace = pace.get_or_insert_with(|| Pace::new(speed, time));
        let due = pace.due(time);
        if speed != Speed::Max || sent.is_multiple_of(BURST as u64) {
            if progress.stop.load(Ordering::Relaxed) {
                break;
            }
            wait_until(started, due, progress);
        }
        payload.clear();
        event.write_json(&mut payload);
        producer.send(topic, &event.key(), &payload, time)?;
        sent += 1;
        progress.sent.fetch_add(1, Ordering::Relaxed);
        progress.event_time.store(time, Ordering::Relaxed);
    }
    producer.finish()?;
    Ok(sent)
}

/// Sleeps in short naps, so that a stop is heard.
fn wait_until(started: Instant, due: Duration, progress: &Progress) {
    const NAP: Duration = Duration::from_millis(50);
    while !progress.stop.load(Ordering::Relaxed) {
        let left = due.saturating_sub(started.elapsed());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(NAP));
    }
}
