//! Open-loop latency: events go out on schedule whatever comes back.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use nowcast_bench::cpu;
use nowcast_bench::curve::Curve;
use nowcast_bench::histogram::{Latencies, write_json_line};
use nowcast_bench::slo::{Outcome, Slo};
use nowcast_connectors::{RedisStore, Store};
use nowcast_engine::aside::Discard;
use nowcast_engine::world::{SystemClock, Tap};
use nowcast_engine::{Batch, Job, JobOptions, World};
use serde_json::json;

use crate::home::Home;
use crate::producer::{Events, ensure_topic};

/// The pipeline that is measured: one row in, one feature out.
const SQL: &str = include_str!("latency.sql");

/// Distinct keys of the features.
const KEYS: u64 = 10_000;

/// How long the last events may take to become readable before they count as lost.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub struct Latency {
    /// Events a second.
    #[arg(long, default_value_t = 5_000.0)]
    rate: f64,
    /// How long, without the warm-up.
    #[arg(long = "for", default_value = "30s")]
    run_for: String,
    /// What is sent before measuring begins.
    #[arg(long, default_value = "5s")]
    warm_up: String,
    /// Kafka bootstrap servers; `embedded` is the broker in this process.
    #[arg(long, default_value = "embedded")]
    bootstrap: String,
    /// Store: `redis://…`, or `embedded://`.
    #[arg(long, default_value = "embedded://")]
    store: String,
    /// Ends with exit code 1 unless it holds, such as `p50<3ms,p99<15ms`.
    #[arg(long)]
    slo: Option<String>,
    /// Writes the percentiles as an HdrHistogram file.
    #[arg(long)]
    hgrm: Option<PathBuf>,
    /// Bytes of ballast in each event.
    #[arg(long, default_value_t = 100)]
    payload: usize,
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

/// Notes when rows became readable.
struct Measure {
    started: Instant,
    warm_up: Duration,
    seen: Mutex<(u64, Latencies)>,
}

impl Tap for Measure {
    fn rows(&self, _sink: &str, batch: &Batch) {
        let now = self.started.elapsed();
        let intended = batch.column(1).as_primitive::<Int64Type>();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for intended in intended.values() {
            let intended = Duration::from_micros(*intended as u64);
            seen.0 += 1;
            if intended >= self.warm_up {
                seen.1.record(intended, now);
            }
        }
    }
}

pub async fn latency(command: Latency) -> Result<()> {
    let run_for = nowcast_engine::parse_duration(&command.run_for)?;
    let warm_up = nowcast_engine::parse_duration(&command.warm_up)?;
    let slos = command.slo.as_deref().map(Slo::parse_list).transpose()?.unwrap_or_default();
    let curve = Curve::constant(command.rate)?;
    let events = curve.due_by(warm_up + run_for);
    let folder = std::env::temp_dir().join(format!("nowcast-bench-{}", std::process::id()));
    let embedded = command.bootstrap == crate::home::EMBEDDED;
    let home = Home::open(&folder, embedded).await?;
    let bootstrap = match home.bootstrap() {
        Some(address) => address,
        None => command.bootstrap.clone(),
    };
    let topic = format!("nowcast-bench-{}", std::process::id());
    ensure_topic(&bootstrap, &topic, 4).await?;

    let sql = SQL
        .replace("${TOPIC}", &topic)
        .replace("${BOOTSTRAP}", &bootstrap)
        .replace("${STORE}", &command.store);
    let mut planner = home.planner();
    let plan = planner.plan(&sql).map_err(|error| anyhow::anyhow!("{error}"))?;
    let measure = Arc::new(Measure {
        started: Instant::now(),
        warm_up,
        seen: Mutex::new((0, Latencies::new())),
    });
    let world = World {
        clock: Arc::new(SystemClock),
        store: None,
        aside: Arc::new(Discard),
        tap: Arc::clone(&measure) as _,
    };
    let options =
        JobOptions { name: "bench".into(), workers: command.workers, ..JobOptions::default() };
    let job = Job::start(plan.graph, options, world).await?;

    let bar = ProgressBar::new(events);
    bar.set_style(ProgressStyle::with_template(
        "[{bar:30}] {pos}/{len} events, {per_sec}, {eta} left",
    )?);
    let before = cpu::own()?.cpu_s;
    let started = measure.started.elapsed();
    let sender = {
        let (measure, bar, topic, bootstrap) =
            (Arc::clone(&measure), bar.clone(), topic.clone(), bootstrap.clone());
        let ballast = "x".repeat(command.payload);
        tokio::task::spawn_blocking(move || -> Result<()> {
            let producer = Events::connect_low_latency(&bootstrap)?;
            for number in 0..events {
                let intended = started + curve.due(number);
                loop {
                    let left = intended.saturating_sub(measure.started.elapsed());
                    match left.is_zero() {
                        true => break,
                        // Naps overshoot by some 60 µs; the rest is waited out.
                        false if left > Duration::from_micros(200) => {
                            std::thread::sleep(left - Duration::from_micros(150))
                        }
                        false => std::hint::spin_loop(),
                    }
                }
                let id = number % KEYS;
                let event = format!(
                    "{{\"id\":{id},\"intended_us\":{},\"payload\":\"{ballast}\"}}",
                    intended.as_micros()
                );
                producer.send(&topic, "", event.as_bytes(), 0)?;
                if number % 1_024 == 0 {
                    bar.set_position(number);
                }
            }
            producer.finish()
        })
    };
    sender.await??;
    bar.finish_and_clear();
    let sent = Instant::now();
    while measure.seen.lock().unwrap_or_else(PoisonError::into_inner).0 < events
        && sent.elapsed() < PATIENCE
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let usage = cpu::own()?;
    job.stopper()();
    job.wait().await?;
    let store: Arc<dyn Store> = match command.store.starts_with("embedded") {
        true => Arc::clone(&home.store) as _,
        false => Arc::new(RedisStore::connect(&command.store).await?),
    };
    let keys: Vec<String> =
        (0..KEYS.min(events)).map(|id| format!("bench_features:{id}")).collect();
    let readable = store.multi_get(&keys).await?.iter().filter(|fields| fields.is_some()).count();
    if let Some(broker) = home.broker {
        broker.shutdown().await;
    }
    // What cannot be removed is left to the system's own cleaning of its temporary folder.
    let _ = std::fs::remove_dir_all(&folder);

    let seen = measure.seen.lock().unwrap_or_else(PoisonError::into_inner);
    let (count, latencies) = (seen.0, &seen.1);
    say!("{}", latencies.summary());
    let verdicts: Vec<_> =
        slos.iter().map(|slo| slo.judge(&Outcome { latencies, lag_max: None })).collect();
    for verdict in &verdicts {
        say!("{verdict}");
    }
    if let Some(path) = &command.hgrm {
        let mut file = std::fs::File::create(path).with_context(|| path.display().to_string())?;
        latencies.write_hgrm(&mut file)?;
    }
    let result = json!({
        "bench": "latency", "rate": command.rate, "events": events, "readable": count,
        "keys_readable": readable, "bootstrap": command.bootstrap, "store": command.store,
        "workers": command.workers, "latency": latencies.summary(),
        "cpu_s": usage.cpu_s - before, "rss_peak_bytes": usage.rss_peak_bytes,
    });
    write_json_line(&mut std::io::stdout(), &result)?;
    if count < events {
        bail!("{} of {events} events never became readable", events - count);
    }
    if readable < keys.len() {
        bail!("{} of {} features are not in the store", keys.len() - readable, keys.len());
    }
    if verdicts.iter().any(|verdict| !verdict.passed) {
        bail!("the SLO does not hold");
    }
    Ok(())
}
