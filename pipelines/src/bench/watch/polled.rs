//! Results that are the newest value of a key, in Redis or behind an endpoint: asked for again and again.
//!
//! Looked for are the sampled keys that have an event under way. An event counts as answered when its sequence, or a later one
//! of its key, is read; the time is that of the answer, so what is told is never too little, and too much by the time
//! between two looks at most. That time is in the report.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Result;
use futures::StreamExt;
use nowcast_connectors::{RedisStore, Store};
use tokio::task::JoinHandle;

use super::{Fields, Seen};
use crate::bench::load::{Plan, Sent};

/// Between the end of one look and the next.
const PAUSE: Duration = Duration::from_millis(1);

/// Requests under way at once.
const REQUESTS: usize = 8;

pub enum Place {
    Redis { store: RedisStore, sequence: String },
    Http { client: reqwest::Client, fields: Fields },
}

/// `pattern` is the key or address, with `{key}` in it.
pub fn watch(
    plan: &Arc<Plan>,
    sent: &Arc<Sent>,
    seen: &Arc<Seen>,
    place: Place,
    pattern: &str,
) -> JoinHandle<Result<()>> {
    let (plan, sent, seen, pattern) =
        (Arc::clone(plan), Arc::clone(sent), Arc::clone(seen), pattern.to_owned());
    tokio::spawn(async move {
        let mut before = None;
        while !seen.stops() {
            let wanted = wanted(&sent);
            if wanted.is_empty() {
                before = None;
            } else {
                look(&plan, &sent, &seen, &place, &pattern, &wanted).await?;
                let now = plan.elapsed();
                let mut gaps = seen.gaps.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(before) = before.replace(now) {
                    gaps.record(before, now);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    })
}

/// Keys with an event that has not been seen.
fn wanted(sent: &Sent) -> Vec<u64> {
    let keys = sent.pending.iter();
    keys.filter(|(_, numbers)| !numbers.lock().unwrap_or_else(PoisonError::into_inner).is_empty())
        .map(|(key, _)| *key)
        .collect()
}

async fn look(
    plan: &Plan,
    sent: &Sent,
    seen: &Seen,
    place: &Place,
    pattern: &str,
    wanted: &[u64],
) -> Result<()> {
    let filled = |key: &u64| pattern.replace("{key}", &plan.workload.key(*key));
    match place {
        Place::Redis { store, sequence } => {
            let keys: Vec<String> = wanted.iter().map(filled).collect();
            let found = store.multi_get(&keys).await?;
            let now = plan.elapsed();
            for (key, fields) in wanted.iter().zip(found) {
                let Some(fields) = fields else { continue };
                let value = fields.iter().find(|(name, _)| name == sequence);
                match value.and_then(|(_, text)| text.parse().ok()) {
                    Some(value) => found_sequence(plan, sent, seen, *key, value, now),
                    None => {
                        seen.unreadable.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
        Place::Http { client, fields } => {
            let requests = wanted.iter().map(|key| (*key, filled(key)));
            futures::stream::iter(requests)
                .for_each_concurrent(REQUESTS, |(key, url)| async move {
                    let answer = ask(client, &url).await;
                    let now = plan.elapsed();
                    match answer {
                        Ok(Some(body)) => match fields.field().integer(&body) {
                            Some(value) => found_sequence(plan, sent, seen, key, value, now),
                            None => {
                                seen.unreadable.fetch_add(1, Ordering::Relaxed);
                            }
                        },
                        Ok(None) => {}
                        Err(error) => seen.failed(format!("{url}: {error:#}")),
                    }
                })
                .await;
        }
    }
    Ok(())
}

/// The body, or nothing where there is nothing yet.
async fn ask(client: &reqwest::Client, url: &str) -> Result<Option<Vec<u8>>> {
    let response = client.get(url).send().await?;
    match response.status() {
        reqwest::StatusCode::NOT_FOUND => Ok(None),
        status if status.is_success() => Ok(Some(response.bytes().await?.to_vec())),
        status => anyhow::bail!("{status}"),
    }
}

fn found_sequence(plan: &Plan, sent: &Sent, seen: &Seen, key: u64, value: i64, now: Duration) {
    // What an earlier run has left there.
    let Ok(newest) = u64::try_from(value.saturating_sub(plan.started_us)) else { return };
    let Some(numbers) = sent.pending.get(&key) else { return };
    let mut numbers = numbers.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(number) = numbers.pop_front_if(|number| *number <= newest) {
        seen.answers().event(number, now);
    }
}

/// How long the oldest event that was not seen has been due.
pub fn lag(plan: &Plan, sent: &Sent) -> Duration {
    let oldest = sent.pending.values().filter_map(|numbers| {
        numbers.lock().unwrap_or_else(PoisonError::into_inner).front().copied()
    });
    let now = plan.elapsed();
    oldest.min().map_or(Duration::ZERO, |number| now.saturating_sub(plan.curve.due(number)))
}
