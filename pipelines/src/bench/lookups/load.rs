//! Requests: first as many as are answered, then on a schedule.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nowcast_bench::cpu;
use nowcast_bench::curve::Curve;
use nowcast_bench::histogram::{Latencies, Summary};
use nowcast_connectors::{RedisStore, Store};
use serde::Serialize;

/// What is asked.
#[derive(Clone)]
pub enum Target {
    Redis(Arc<RedisStore>),
    /// With `{key}` in the address.
    Http {
        client: reqwest::Client,
        url: String,
    },
}

/// What a server has answered.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// Requests a second that were answered at most.
    pub per_s: f64,
    /// Those that a core of the server alone would have answered; `None` where its process is not known.
    pub per_core_s: Option<f64>,
    /// At the share of `per_s` that latency was measured at, from the intended start.
    pub latency: Summary,
    pub failures: u64,
}

impl Target {
    async fn ask(&self, key: &str) -> Result<()> {
        match self {
            Self::Redis(store) => match store.get(&format!("next_titles:{key}")).await? {
                Some(_) => Ok(()),
                None => bail!("no such key"),
            },
            Self::Http { client, url } => {
                let response = client.get(url.replace("{key}", key)).send().await?;
                response.error_for_status()?.bytes().await?;
                Ok(())
            }
        }
    }
}

pub async fn measure(
    target: &Target,
    keys: &[String],
    connections: usize,
    duration: Duration,
    share: f64,
    pid: Option<u32>,
) -> Result<Measured> {
    // What is not there, or not yet warm, shows before anything is counted.
    target.ask(&keys[0]).await?;
    saturate(target, keys, connections, duration / 5).await;
    let before = pid.map(cpu::of).transpose()?;
    let began = Instant::now();
    let (answered, failed) = saturate(target, keys, connections, duration).await;
    let seconds = began.elapsed().as_secs_f64();
    let after = pid.map(cpu::of).transpose()?;
    if answered == 0 {
        bail!("no request was answered, {failed} failed");
    }
    let per_s = answered as f64 / seconds;
    let cpu_s = after.zip(before).map(|(after, before)| after.cpu_s - before.cpu_s);
    let per_core_s = cpu_s.filter(|cpu_s| *cpu_s > 0.0).map(|cpu_s| answered as f64 / cpu_s);
    let (latencies, late_failures) =
        on_schedule(target, keys, connections * 4, duration, per_s * share).await?;
    let failures = failed + late_failures;
    Ok(Measured { per_s, per_core_s, latency: latencies.summary(), failures })
}

/// Closed loop; how many were answered and how many were not.
async fn saturate(
    target: &Target,
    keys: &[String],
    connections: usize,
    duration: Duration,
) -> (u64, u64) {
    let end = Instant::now() + duration;
    let clients = (0..connections).map(|client| async move {
        let (mut answered, mut failed, mut at) = (0, 0, client);
        while Instant::now() < end {
            match target.ask(&keys[at % keys.len()]).await {
                Ok(()) => answered += 1,
                Err(_) => failed += 1,
            }
            at += connections;
        }
        (answered, failed)
    });
    let each: Vec<(u64, u64)> = futures::future::join_all(clients).await;
    each.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}

/// Open loop: each request has an intended start and waits for a connection if it has to; that counts.
async fn on_schedule(
    target: &Target,
    keys: &[String],
    connections: usize,
    duration: Duration,
    per_s: f64,
) -> Result<(Latencies, u64)> {
    let curve = Curve::constant(per_s)?;
    let requests = curve.due_by(duration);
    let (next, started) = (AtomicU64::new(0), Instant::now());
    let clients = (0..connections).map(|_| async {
        let (mut latencies, mut failed) = (Latencies::new(), 0);
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= requests {
                return (latencies, failed);
            }
            let due = curve.due(number);
            tokio::time::sleep_until((started + due).into()).await;
            match target.ask(&keys[(number * 7_919) as usize % keys.len()]).await {
                Ok(()) => latencies.record(due, started.elapsed()),
                Err(_) => failed += 1,
            }
        }
    });
    let each: Vec<(Latencies, u64)> = futures::future::join_all(clients).await;
    let mut all = Latencies::new();
    each.iter().for_each(|(latencies, _)| all.merge(latencies));
    Ok((all, each.iter().map(|(_, failed)| failed).sum()))
}
