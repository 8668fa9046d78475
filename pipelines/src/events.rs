//! The events of the demo: generated ones, or real ones from a data folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Result;
use nowcast_bench::Event;
use nowcast_bench::datasets::{bike_sharing, globo_clicks};
use nowcast_bench::disorder::{Delays, Disorder};
use nowcast_bench::generate::START_MS;
use nowcast_bench::generate::clicks::{ClicksConfig, clicks};
use nowcast_bench::generate::demand::{DemandConfig, Demands};
use nowcast_bench::generate::subscriptions::{Subscriptions, SubscriptionsConfig};
use nowcast_bench::replay::Speed;

use crate::feed::{Progress, feed};
use crate::producer::Events;

const DAY_MS: i64 = 86_400_000;

/// History sent at once, so that forecasts have something to stand on from the first second.
const DEMAND_HISTORY_DAYS: i64 = 90;
const SUBSCRIPTIONS_HISTORY_DAYS: i64 = 42;

/// An hour of demand and of subscriptions passes every second: days must end while one watches.
const HOURLY_SPEED: f64 = 3_600.0;

/// Real clicks arrive up to this late: within the watermark of the shipped pipelines.
const DISORDER_MS: u64 = 4_000;

/// Where the demo's events come from.
#[derive(Clone)]
pub enum Input {
    Synthetic { seed: u64, clicks_per_s: f64 },
    Real(PathBuf),
}

/// One topic of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    Clicks,
    Demand,
    Subscriptions,
}

impl Input {
    pub fn describe(&self) -> String {
        match self {
            Self::Synthetic { seed, .. } => {
                format!("events are SYNTHETIC (seed {seed}); --data DIR replays real ones")
            }
            Self::Real(folder) => format!(
                "events are real: Globo clicks and UCI bike-sharing member demand from {}; subscriptions are SYNTHETIC",
                folder.display()
            ),
        }
    }

    fn seed(&self) -> u64 {
        match self {
            Self::Synthetic { seed, .. } => *seed,
            Self::Real(_) => 1,
        }
    }
}

impl Feed {
    pub const ALL: [Self; 3] = [Self::Clicks, Self::Demand, Self::Subscriptions];

    pub fn topic(self) -> &'static str {
        match self {
            Self::Clicks => "clicks",
            Self::Demand => "demand",
            Self::Subscriptions => "subscriptions",
        }
    }

    pub fn partitions(self) -> i32 {
        match self {
            Self::Clicks => 4,
            Self::Demand | Self::Subscriptions => 1,
        }
    }

    /// Sends the feed's events until they end or `progress` says stop. The first `already` events
    /// are in the topic from an earlier run and are passed over.
    pub fn send(
        self,
        producer: &Events,
        input: &Input,
        speed: Speed,
        already: u64,
        progress: &Arc<Progress>,
    ) -> Result<u64> {
        let skip = already as usize;
        let topic = self.topic();
        let hourly = Speed::Times(HOURLY_SPEED);
        match (self, input) {
            (Self::Clicks, Input::Synthetic { seed, clicks_per_s }) => {
                let config = ClicksConfig::seeded(*seed).events_per_s(*clicks_per_s);
                feed(producer, topic, clicks(&config).skip(skip), speed, progress)
            }
            (Self::Clicks, Input::Real(folder)) => {
                let events = globo_clicks(folder)?.into_iter();
                let delays = Delays::Uniform { bound_ms: DISORDER_MS };
                feed(producer, topic, Disorder::new(events, delays, 1).skip(skip), speed, progress)
            }
            (Self::Demand, Input::Synthetic { seed, .. }) => {
                let start_ms = START_MS - DEMAND_HISTORY_DAYS * DAY_MS;
                let events =
                    Demands::new(DemandConfig { seed: *seed, start_ms, ..DemandConfig::default() });
                history_then_live(producer, topic, events.skip(skip), START_MS, hourly, progress)
            }
            (Self::Demand, Input::Real(folder)) => {
                let events = bike_sharing(folder)?;
                // The last eight weeks pass live; all before is history.
                let live = events.last().map_or(0, |last| last.event_time_ms() - 56 * DAY_MS);
                history_then_live(
                    producer,
                    topic,
                    events.into_iter().skip(skip),
                    live,
                    hourly,
                    progress,
                )
            }
            (Self::Subscriptions, _) => {
                let start_ms = START_MS - SUBSCRIPTIONS_HISTORY_DAYS * DAY_MS;
                let seed = input.seed();
                let events = Subscriptions::new(SubscriptionsConfig {
                    seed,
                    start_ms,
                    ..SubscriptionsConfig::default()
                });
                history_then_live(producer, topic, events.skip(skip), START_MS, hourly, progress)
            }
        }
    }
}

/// Sends what is before `live_ms` at full speed and the rest at `speed`.
fn history_then_live<E: Event>(
    producer: &Events,
    topic: &str,
    events: impl Iterator<Item = E>,
    live_ms: i64,
    speed: Speed,
    progress: &Arc<Progress>,
) -> Result<u64> {
    let mut events = events.peekable();
    let history = std::iter::from_fn(|| events.next_if(|event| event.event_time_ms() < live_ms));
    let mut sent = feed(producer, topic, history, Speed::Max, progress)?;
    if !progress.stop.load(Ordering::Relaxed) {
        sent += feed(producer, topic, events, speed, progress)?;
    }
    Ok(sent)
}
