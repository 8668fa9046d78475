//! `nowcast bench lookups`: look-ups under load, beside a bare Redis, a bare model and a usual Python stack that do the same work.
//!
//! Each server is first asked by as many clients as fit, which shows what a core of it answers; then at 70 % of that, open
//! loop, which shows how long an answer takes when the house is full but not overrun.

mod load;
mod peers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use nowcast_bench::generate::clicks::{ClicksConfig, clicks};
use nowcast_bench::histogram::write_json_line;
use nowcast_bench::replay::Speed;
use nowcast_connectors::{RedisStore, Store};
use serde_json::json;

use self::load::{Measured, Target};
use self::peers::Peers;
use crate::feed::{Progress, feed};
use crate::producer::{Events, ensure_topic};

/// The share of what a server can at most, at which latency is measured.
const LOAD: f64 = 0.7;

#[derive(Args)]
pub struct Lookups {
    /// Redis to use, which must be empty; one of its own is started if it is left out (`redis-server`).
    #[arg(long)]
    redis: Option<String>,
    /// Python with FastAPI, redis-py and onnxruntime, as `bench/lookups/install.sh` prints it; the Python rows are left out
    /// without it.
    #[arg(long, env = "NOWCAST_LOOKUPS_PYTHON")]
    python: Option<PathBuf>,
    /// Clicks that fill the store.
    #[arg(long, default_value_t = 50_000)]
    clicks: usize,
    /// How long each is measured, once for the rate and once for latency.
    #[arg(long = "for", default_value = "5s", value_parser = time)]
    duration: Duration,
    /// Requests under way at once.
    #[arg(long, default_value_t = 16)]
    connections: usize,
}

fn time(text: &str) -> Result<Duration, nowcast_bench::Error> {
    nowcast_bench::duration::parse(text)
}

pub async fn lookups(command: Lookups) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("nowcast-lookups-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let result = measure(&command, &folder).await;
    // What cannot be removed is left to the system's own cleaning of its temporary folder.
    let _ = std::fs::remove_dir_all(&folder);
    result
}

async fn measure(command: &Lookups, folder: &std::path::Path) -> Result<()> {
    let broker = crate::home::start_broker(&folder.join("broker"), "127.0.0.1:0").await?;
    let models = crate::shipped::write_models(folder)?;
    let mut peers = Peers::default();
    let redis = match &command.redis {
        Some(url) => url.clone(),
        None => peers.redis(folder).await?,
    };
    let bootstrap = broker.address().to_string();
    let keys = fill(command, &mut peers, folder, &bootstrap, &models, &redis).await?;
    say!("{} profiles in the store, {} connections", keys.len(), command.connections);
    let model = models.join("next_title/next_title.onnx");
    let nowcast = peers.nowcast.clone().context("nowcast was started")?;
    let store = Arc::new(RedisStore::connect(&redis).await?);
    let http = |server: &peers::Server, path: &str| Target::Http {
        client: reqwest::Client::new(),
        url: format!("http://{}{path}", server.address),
    };
    let mut targets = vec![
        ("redis: HGETALL", peers.redis_pid(), Target::Redis(store)),
        ("nowcast: features", Some(nowcast.pid), http(&nowcast, "/v1/features/next_titles/{key}")),
        (
            "nowcast: recommendations",
            Some(nowcast.pid),
            http(&nowcast, "/v1/recommendations/{key}"),
        ),
    ];
    if let Some(python) = &command.python {
        let server = peers.python(python, folder, &redis, &model).await?;
        for (name, path) in [
            ("python: features", "/v1/features/next_titles/{key}"),
            ("python: recommendations", "/v1/recommendations/{key}"),
            ("python: scored at the request", "/v1/scored/{key}"),
        ] {
            targets.push((name, Some(server.pid), http(&server, path)));
        }
    }
    say!(
        "{:<30} {:>12} {:>12} {:>9} {:>9} {:>9}",
        "",
        "requests/s",
        "a core",
        "p50 ms",
        "p99 ms",
        "p99.9 ms"
    );
    let mut rows = vec![];
    for (name, pid, target) in targets {
        let measured =
            load::measure(&target, &keys, command.connections, command.duration, LOAD, pid)
                .await
                .with_context(|| name.to_owned())?;
        say_row(name, &measured);
        rows.push(json!({"target": name, "figures": measured}));
    }
    for (name, rows_per_core_s) in
        peers::scores(command.python.as_deref(), folder, &model, command.duration).await?
    {
        say!("{name:<30} {:>12} {rows_per_core_s:>12.0}", "");
        rows.push(json!({"target": name, "rows_per_core_s": rows_per_core_s}));
    }
    peers.stop().await?;
    broker.shutdown().await;
    let result = json!({
        "bench": "lookups", "clicks": command.clicks, "profiles": keys.len(),
        "connections": command.connections, "load": LOAD, "rows": rows,
    });
    write_json_line(&mut std::io::stdout(), &result)?;
    Ok(())
}

fn say_row(name: &str, measured: &Measured) {
    let ms = |us: u64| us as f64 / 1e3;
    let per_core = measured.per_core_s.map_or("-".into(), |rate| format!("{rate:.0}"));
    let latency = &measured.latency;
    say!(
        "{name:<30} {:>12.0} {per_core:>12} {:>9.3} {:>9.3} {:>9.3}",
        measured.per_s,
        ms(latency.p50_us),
        ms(latency.p99_us),
        ms(latency.p99_9_us)
    );
    if measured.failures > 0 {
        say!("  {} requests failed", measured.failures);
    }
}

/// Has the shipped pipeline fill the store, and leaves it running; the profiles that are there.
async fn fill(
    command: &Lookups,
    peers: &mut Peers,
    folder: &std::path::Path,
    bootstrap: &str,
    models: &std::path::Path,
    redis: &str,
) -> Result<Vec<String>> {
    let topic = "nowcast-bench-lookups";
    ensure_topic(bootstrap, topic, 4).await?;
    let (to, count) = (bootstrap.to_owned(), command.clicks);
    tokio::task::spawn_blocking(move || {
        let config = ClicksConfig::seeded(1).events_per_s(1_000.0);
        let producer = Events::connect(&to)?;
        feed(
            &producer,
            topic,
            clicks(&config).take(count),
            Speed::Max,
            &Arc::new(Progress::default()),
        )
    })
    .await??;
    let store = RedisStore::connect(redis).await?;
    if !store.scan("next_titles:", 1).await?.is_empty() {
        bail!("{redis} has profiles already: look-ups are measured on what this run has written");
    }
    peers.nowcast(folder, bootstrap, topic, models, redis).await?;
    peers.until_read(command.clicks as u64).await?;
    let keys = store.scan("next_titles:", 100_000).await?;
    let profiles: Vec<String> =
        keys.iter().filter_map(|key| Some(key.strip_prefix("next_titles:")?.to_owned())).collect();
    if profiles.is_empty() {
        bail!("the pipeline has written no profile");
    }
    Ok(profiles)
}
