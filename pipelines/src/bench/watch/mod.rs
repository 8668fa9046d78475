//! Where the system's answers are seen: a topic, a feed, or a store or endpoint that is asked again and again.

mod feed;
mod polled;
mod topic;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use nowcast_bench::answers::Answers;
use nowcast_bench::extract::Field;
use nowcast_bench::histogram::Latencies;
use nowcast_bench::workload::{Matching, Output, Workload};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::task::JoinHandle;

pub use self::polled::lag;
use super::load::{Plan, Sent};

/// What the watchers have seen so far.
pub struct Seen {
    pub answers: Mutex<Answers>,
    pub stop: AtomicBool,
    /// Results that cannot be matched: no object, or without the field.
    pub unreadable: AtomicU64,
    /// Answers that were no success, with the last one's words.
    pub failures: Mutex<(u64, String)>,
    /// Between two looks at polled outputs: no latency is told finer.
    pub gaps: Mutex<Latencies>,
}

impl Seen {
    pub fn new(answers: Answers) -> Self {
        Self {
            answers: Mutex::new(answers),
            stop: AtomicBool::new(false),
            unreadable: AtomicU64::new(0),
            failures: Mutex::default(),
            gaps: Mutex::default(),
        }
    }

    pub fn answers(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn failed(&self, words: String) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.0 += 1;
        failures.1 = words;
    }

    /// Takes a result that was seen at `now`.
    fn result(&self, matching: &Fields, json: &[u8], now: Duration) {
        match (matching, matching.field().integer(json)) {
            (_, None) => {
                self.unreadable.fetch_add(1, Ordering::Relaxed);
            }
            (Fields::Sequence(_), Some(sequence)) => self.answers().sequence(sequence, now),
            (Fields::IntendedUs(_), Some(us)) => self.answers().intended_us(us, now),
        }
    }
}

/// The field that matches a result to its event.
enum Fields {
    Sequence(Field),
    IntendedUs(Field),
}

impl Fields {
    fn of(output: &Output) -> Self {
        match output.matching().expect("a workload says how results are matched") {
            Matching::Sequence { field, .. } => Self::Sequence(Field::new(&field)),
            Matching::IntendedUs(field) => Self::IntendedUs(Field::new(&field)),
        }
    }

    fn field(&self) -> &Field {
        match self {
            Self::Sequence(field) | Self::IntendedUs(field) => field,
        }
    }
}

/// Begins to watch, and returns once nothing that comes from now on can be missed. The task ends with an error if it cannot
/// go on, and without one after `seen.stop`.
pub async fn start(
    plan: &Arc<Plan>,
    sent: &Arc<Sent>,
    seen: &Arc<Seen>,
) -> Result<JoinHandle<Result<()>>> {
    let fields = Fields::of(&plan.workload.output);
    match &plan.workload.output {
        Output::Kafka { bootstrap, topic, .. } => {
            let bootstrap = bootstrap.clone().unwrap_or_else(|| plan.bootstrap.clone());
            topic::watch(plan, seen, fields, &bootstrap, topic).await
        }
        Output::Sse { url, headers, .. } => feed::watch(plan, seen, fields, url, headers).await,
        Output::Redis { url, key, sequence, .. } => {
            let store = nowcast_connectors::RedisStore::connect(url).await?;
            let place = polled::Place::Redis { store, sequence: sequence.clone() };
            Ok(polled::watch(plan, sent, seen, place, key))
        }
        Output::Http { url, headers, .. } => {
            let place = polled::Place::Http { client: client(headers)?, fields };
            Ok(polled::watch(plan, sent, seen, place, url))
        }
    }
}

/// Keys that polled outputs look for, with room for the events of each.
pub fn pending(workload: &Workload) -> super::load::Pending {
    match workload.output {
        Output::Kafka { .. } | Output::Sse { .. } => BTreeMap::new(),
        Output::Redis { .. } | Output::Http { .. } => (0..workload.keys.count)
            .filter(|key| workload.is_sampled(*key))
            .map(|key| (key, Mutex::default()))
            .collect(),
    }
}

/// An HTTP client that sends these headers with each request.
pub fn client(headers: &BTreeMap<String, String>) -> Result<reqwest::Client> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(name.parse::<HeaderName>()?, value.parse::<HeaderValue>()?);
    }
    Ok(reqwest::Client::builder().default_headers(map).build()?)
}
