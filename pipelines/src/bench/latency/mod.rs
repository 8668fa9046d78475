//! Open-loop latency: events go out on schedule whatever comes back.

mod copy;
mod seen;
mod sender;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use nowcast_bench::cpu;
use nowcast_bench::curve::Curve;
use nowcast_bench::histogram::{Latencies, write_json_line};
use nowcast_bench::slo::{Outcome, Slo};
use nowcast_connectors::{RedisStore, Store};
use nowcast_engine::aside::Discard;
use nowcast_engine::world::SystemClock;
use nowcast_engine::{Job, JobOptions, World};
use serde_json::{Value, json};

use self::copy::Copy;
use self::seen::Seen;
use self::sender::Sender;
use super::Missed;
use crate::checkpoint_store;
use crate::home::Home;
use crate::producer::ensure_topic;

/// The pipeline that is measured: one row in, one feature out.
const SQL: &str = include_str!("latency.sql");

/// How long its rows stay.
const TTL_MS: u64 = 3_600_000;

/// Distinct keys of the features.
const KEYS: u64 = 10_000;

/// How long the last events may take to become readable before they count as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// What comes through at most is measured for so long at most, with so many events under way.
const SATURATED_FOR: Duration = Duration::from_secs(8);
const UNDER_WAY: u64 = 20_000;

#[derive(Args)]
pub struct Latency {
    /// Events a second, or a share of what comes through at most, which is measured first (`70%`).
    #[arg(long, default_value = "5000", value_parser = Rate::parse)]
    rate: Rate,
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
    /// Measures a bare loop that copies the same events into the same Redis as well, after the job.
    #[arg(long)]
    beside_copy: bool,
    /// Takes checkpoints of the job into a folder, so often.
    #[arg(long)]
    checkpoint_interval: Option<String>,
    /// Ends with exit code 4 unless the job holds it, such as `p50<3ms,p99<15ms`.
    #[arg(long)]
    slo: Option<String>,
    /// Writes the job's percentiles as an HdrHistogram file.
    #[arg(long)]
    hgrm: Option<PathBuf>,
    /// Bytes of ballast in each event.
    #[arg(long, default_value_t = 100)]
    payload: usize,
    #[arg(long, default_value_t = 1)]
    workers: usize,
}

#[derive(Clone, Copy)]
enum Rate {
    PerS(f64),
    /// Of what comes through at most.
    Share(f64),
}

impl Rate {
    fn parse(text: &str) -> Result<Self, String> {
        let positive = |text: &str| {
            let number = text.trim().parse::<f64>().ok();
            number.filter(|number| number.is_finite() && *number > 0.0)
        };
        let rate = match text.strip_suffix('%') {
            Some(share) => positive(share).map(|share| Self::Share(share / 100.0)),
            None => positive(text).map(Self::PerS),
        };
        rate.ok_or_else(|| "a number of events a second, or a share such as 70%".to_owned())
    }
}

/// What moves events from the topic to the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mover {
    Job,
    Copy,
}

enum Moving {
    Job(Box<Job>),
    Copy(Copy),
}

/// What one of them did.
struct Outturn {
    table: String,
    events: u64,
    count: u64,
    latencies: Latencies,
    /// Of this process: the sender's and the mover's.
    cpu_s: f64,
    checkpoints: Checkpoints,
}

#[derive(Default, Clone, Copy)]
struct Checkpoints {
    taken: u64,
    failed: u64,
}

struct Bench<'a> {
    command: &'a Latency,
    home: &'a Home,
    folder: &'a Path,
    bootstrap: String,
    warm_up: Duration,
    run_for: Duration,
    checkpoint_interval: Option<Duration>,
}

pub async fn latency(command: Latency) -> Result<()> {
    let duration = |text: &str| nowcast_engine::parse_duration(text);
    let (warm_up, run_for) = (duration(&command.warm_up)?, duration(&command.run_for)?);
    let checkpoint_interval = command.checkpoint_interval.as_deref().map(duration).transpose()?;
    let slos = command.slo.as_deref().map(Slo::parse_list).transpose()?.unwrap_or_default();
    if command.beside_copy && command.store.starts_with("embedded") {
        bail!("--beside-copy needs --store redis://…, for the loop writes there");
    }
    let folder = std::env::temp_dir().join(format!("nowcast-bench-{}", std::process::id()));
    let home = Home::open(&folder, command.bootstrap == crate::home::EMBEDDED).await?;
    let bench = Bench {
        command: &command,
        home: &home,
        folder: &folder,
        bootstrap: home.bootstrap().unwrap_or_else(|| command.bootstrap.clone()),
        warm_up,
        run_for,
        checkpoint_interval,
    };
    let measured = bench.all(&slos).await;
    if let Some(broker) = home.broker {
        broker.shutdown().await;
    }
    // What cannot be removed is left to the system's own cleaning of its temporary folder.
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

impl Bench<'_> {
    async fn all(&self, slos: &[Slo]) -> Result<()> {
        let (per_s, saturation) = match self.command.rate {
            Rate::PerS(per_s) => (per_s, None),
            Rate::Share(share) => {
                let saturation = self.saturation().await?;
                say!("{saturation:.0} events/s come through at most");
                (share * saturation, Some(saturation))
            }
        };
        let job = self.open_loop(Mover::Job, per_s).await?;
        let readable = self.readable(&job).await?;
        let copy = match self.command.beside_copy {
            true => Some(self.open_loop(Mover::Copy, per_s).await?),
            false => None,
        };
        say!("nowcast, {per_s:.0} events/s\n{}", job.latencies.summary());
        if let Some(copy) = &copy {
            say!("bare loop, {per_s:.0} events/s\n{}", copy.latencies.summary());
        }
        let outcome = Outcome { latencies: &job.latencies, lag_max: None };
        let verdicts: Vec<_> = slos.iter().map(|slo| slo.judge(&outcome)).collect();
        verdicts.iter().for_each(|verdict| say!("{verdict}"));
        if let Some(path) = &self.command.hgrm {
            let file = std::fs::File::create(path).with_context(|| path.display().to_string());
            job.latencies.write_hgrm(&mut file?)?;
        }
        let usage = cpu::own()?;
        let mut result = json!({
            "bench": "latency", "rate": per_s, "events": job.events, "readable": job.count,
            "keys_readable": readable, "bootstrap": self.command.bootstrap, "store": self.command.store,
            "workers": self.command.workers, "latency": job.latencies.summary(),
            "cpu_s": job.cpu_s, "rss_peak_bytes": usage.rss_peak_bytes,
            "checkpoints": job.checkpoints.taken, "checkpoints_failed": job.checkpoints.failed,
        });
        if let Some(saturation) = saturation {
            result["saturation"] = json!(saturation);
        }
        if let Some(copy) = &copy {
            result["copy"] = copy.figures();
        }
        write_json_line(&mut std::io::stdout(), &result)?;
        job.all_came("nowcast")?;
        let keys = KEYS.min(job.events) as usize;
        if readable < keys {
            bail!("{} of {keys} features are not in the store", keys - readable);
        }
        copy.map_or(Ok(()), |copy| copy.all_came("the bare loop"))?;
        if job.checkpoints.failed > 0 {
            bail!("{} checkpoints failed", job.checkpoints.failed);
        }
        match verdicts.iter().all(|verdict| verdict.passed) {
            true => Ok(()),
            false => Err(Missed.into()),
        }
    }

    /// Events a second that come through where the sender waits for them alone.
    async fn saturation(&self) -> Result<f64> {
        let seen = Arc::new(Seen::new());
        let topic = self.topic("full").await?;
        let moving = self.start(Mover::Job, &topic, &seen).await?;
        let sender = self.sender(topic, &seen, f64::INFINITY)?;
        let bar = ProgressBar::new_spinner().with_message("what comes through at most");
        bar.enable_steady_tick(Duration::from_millis(200));
        let run_for = self.run_for.min(SATURATED_FOR);
        // It goes on for a moment after the figure is taken.
        let whole = self.warm_up + run_for + run_for / 10;
        let sending =
            tokio::task::spawn_blocking(move || sender.as_they_come_back(whole, UNDER_WAY));
        tokio::time::sleep(self.warm_up).await;
        let (from, count) = (Instant::now(), seen.count());
        tokio::time::sleep(run_for).await;
        let per_s = (seen.count() - count) as f64 / from.elapsed().as_secs_f64();
        let events = sending.await??;
        bar.finish_and_clear();
        until(&seen, events).await;
        moving.stop().await?;
        match per_s > 0.0 {
            true => Ok(per_s),
            false => bail!("nothing comes through within {:?}", self.warm_up + run_for),
        }
    }

    async fn open_loop(&self, mover: Mover, per_s: f64) -> Result<Outturn> {
        let curve = Curve::constant(per_s)?;
        let events = curve.due_by(self.warm_up + self.run_for);
        let topic = self.topic(if mover == Mover::Job { "job" } else { "copy" }).await?;
        let seen = Arc::new(Seen::new());
        let moving = self.start(mover, &topic, &seen).await?;
        let table = table(&topic);
        let sender = self.sender(topic, &seen, per_s)?;
        let bar = ProgressBar::new(events);
        bar.set_style(ProgressStyle::with_template(
            "[{bar:30}] {pos}/{len} events, {per_sec}, {eta} left",
        )?);
        let before = cpu::own()?.cpu_s;
        let started = seen.elapsed();
        seen.measure_from(started + self.warm_up);
        let sending = {
            let bar = bar.clone();
            tokio::task::spawn_blocking(move || sender.on_schedule(started, &curve, events, &bar))
        };
        sending.await??;
        bar.finish_and_clear();
        until(&seen, events).await;
        let cpu_s = cpu::own()?.cpu_s - before;
        let checkpoints = moving.checkpoints();
        moving.stop().await?;
        Ok(Outturn {
            table,
            events,
            count: seen.count(),
            latencies: seen.latencies(),
            cpu_s,
            checkpoints,
        })
    }

    async fn topic(&self, name: &str) -> Result<String> {
        let topic = format!("nowcast_bench_{}_{name}", std::process::id());
        ensure_topic(&self.bootstrap, &topic, 4).await?;
        Ok(topic)
    }

    fn sender(&self, topic: String, seen: &Arc<Seen>, per_s: f64) -> Result<Sender> {
        let producer = Sender::connect(&self.bootstrap, per_s)?;
        let payload = "x".repeat(self.command.payload);
        Ok(Sender { producer, topic, payload, seen: Arc::clone(seen) })
    }

    async fn start(&self, mover: Mover, topic: &str, seen: &Arc<Seen>) -> Result<Moving> {
        if mover == Mover::Copy {
            let (from, to) = (&self.bootstrap, &self.command.store);
            let copy = Copy::start(from, topic, to, table(topic), Arc::clone(seen));
            return Ok(Moving::Copy(copy?));
        }
        let sql = SQL
            .replace("${TOPIC}", topic)
            .replace("${TABLE}", &table(topic))
            .replace("${BOOTSTRAP}", &self.bootstrap)
            .replace("${STORE}", &self.command.store);
        let plan = self.home.planner().plan(&sql).map_err(|error| anyhow!("{error}"))?;
        let store = match self.checkpoint_interval {
            Some(_) => {
                Some(checkpoint_store::folder(&self.folder.join(topic).display().to_string())?)
            }
            None => None,
        };
        let (clock, aside) = (Arc::new(SystemClock), Arc::new(Discard));
        let world = World { clock, store, aside, tap: Arc::clone(seen) as _ };
        let options = JobOptions {
            name: "bench".into(),
            workers: self.command.workers,
            checkpoint_interval: self.checkpoint_interval,
            ..JobOptions::default()
        };
        Ok(Moving::Job(Box::new(Job::start(plan.graph, options, world).await?)))
    }

    /// How many features of its events the store has.
    async fn readable(&self, job: &Outturn) -> Result<usize> {
        let store: Arc<dyn Store> = match self.command.store.starts_with("embedded") {
            true => Arc::clone(&self.home.store) as _,
            false => Arc::new(RedisStore::connect(&self.command.store).await?),
        };
        let keys = (0..KEYS.min(job.events)).map(|id| format!("{}:{id}", job.table));
        let keys: Vec<String> = keys.collect();
        Ok(store.multi_get(&keys).await?.iter().filter(|fields| fields.is_some()).count())
    }
}

impl Moving {
    fn checkpoints(&self) -> Checkpoints {
        match self {
            Self::Job(job) => {
                let failed = job.stats().checkpoints_failed.load(Ordering::Relaxed);
                // Each has a number, also one that fails.
                let taken = job.stats().epoch.load(Ordering::Relaxed).saturating_sub(failed);
                Checkpoints { taken, failed }
            }
            Self::Copy(_) => Checkpoints::default(),
        }
    }

    async fn stop(self) -> Result<()> {
        match self {
            Self::Job(job) => {
                job.stopper()();
                Ok(job.wait().await?)
            }
            Self::Copy(copy) => tokio::task::spawn_blocking(move || copy.stop()).await?,
        }
    }
}

impl Outturn {
    fn figures(&self) -> Value {
        json!({
            "events": self.events, "readable": self.count, "latency": self.latencies.summary(),
            "cpu_s": self.cpu_s,
        })
    }

    fn all_came(&self, who: &str) -> Result<()> {
        match self.events.saturating_sub(self.count) {
            0 => Ok(()),
            missing => {
                bail!("{who}: {missing} of {} events never became readable", self.events)
            }
        }
    }
}

/// What is written of a topic has a table of its own, for others may have written to the store before.
fn table(topic: &str) -> String {
    format!("{topic}_features")
}

/// Waits until so many events are readable, or nothing new becomes so.
async fn until(seen: &Seen, events: u64) {
    let mut last = (seen.count(), Instant::now());
    while last.0 < events && last.1.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let count = seen.count();
        if count > last.0 {
            last = (count, Instant::now());
        }
    }
}
