//! Events into a topic: on schedule whatever comes back, or as many as come back.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use indicatif::ProgressBar;
use nowcast_bench::curve::Curve;

use super::KEYS;
use super::seen::Seen;
use crate::producer::Events;

/// Up to this rate each message goes out by itself.
const ALONE_PER_S: f64 = 1_000.0;
/// Beyond it messages wait so long for others; it counts as latency.
const LINGER_MS: &str = "0.5";

/// Sends so many events at a time at most when it waits for none.
const FULL: u64 = 64;

pub struct Sender {
    pub producer: Events,
    pub topic: String,
    /// The ballast of each event.
    pub payload: String,
    pub seen: Arc<Seen>,
}

impl Sender {
    /// For so many events a second.
    pub fn connect(bootstrap: &str, per_s: f64) -> Result<Events> {
        let linger_ms = if per_s > ALONE_PER_S { LINGER_MS } else { "0" };
        Events::connect_to(bootstrap, &[("linger.ms".to_owned(), linger_ms.to_owned())].into())
    }

    /// Sends each event when it is due since `started`, or as soon after as the system wakes.
    pub fn on_schedule(
        &self,
        started: Duration,
        curve: &Curve,
        events: u64,
        bar: &ProgressBar,
    ) -> Result<()> {
        let mut number = 0;
        while number < events {
            let due = started + curve.due(number);
            let left = due.saturating_sub(self.seen.elapsed());
            if !left.is_zero() {
                std::thread::sleep(left);
                continue;
            }
            self.send(number, due)?;
            if number % 1_024 == 0 {
                bar.set_position(number);
            }
            number += 1;
        }
        self.producer.finish()
    }

    /// Sends for so long, with so many events under way at most; returns how many that were.
    pub fn as_they_come_back(&self, run_for: Duration, under_way: u64) -> Result<u64> {
        let (started, mut number) = (self.seen.elapsed(), 0);
        while self.seen.elapsed() - started < run_for {
            let room = (self.seen.count() + under_way).saturating_sub(number);
            if room == 0 {
                std::thread::sleep(Duration::from_micros(200));
            }
            for _ in 0..room.min(FULL) {
                self.send(number, self.seen.elapsed())?;
                number += 1;
            }
        }
        self.producer.finish()?;
        Ok(number)
    }

    fn send(&self, number: u64, due: Duration) -> Result<()> {
        let (id, intended_us, payload) = (number % KEYS, due.as_micros(), &self.payload);
        let event =
            format!("{{\"id\":{id},\"intended_us\":{intended_us},\"payload\":\"{payload}\"}}");
        self.producer.send(&self.topic, "", event.as_bytes(), 0)
    }
}
