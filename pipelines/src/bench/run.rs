//! `nowcast bench run`: a workload against a system, at the rate of its file or in search of the highest that holds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use nowcast_bench::curve::Curve;
use nowcast_bench::run::Run as Record;
use nowcast_bench::search::{Search, Step};
use nowcast_bench::slo::{self, Slo, Verdict};
use nowcast_bench::workload::{Output, Rate, Workload};

use super::Missed;
use super::live::Live;
use super::record::{self, Origin};
use super::system::{Places, System};
use super::trial::{self, Outcome, Setting};
use crate::home::{EMBEDDED, start_broker};
use crate::producer::ensure_topic;

/// Rates within this factor are one to the search.
const RESOLUTION: f64 = 1.05;

/// A search begins again only after the system has worked off what the last trial has left, within this many times `patience`.
const SETTLE: u32 = 6;

#[derive(Args)]
pub struct Run {
    /// Workload file (docs/bench.md).
    workload: PathBuf,
    /// Ends with exit code 4 unless it holds, such as `p99<20ms,lag<5s`; in place of what the file says.
    #[arg(long)]
    slo: Option<String>,
    /// Looks for the highest rate at which the objectives hold.
    #[arg(long)]
    search: bool,
    /// How long a search tries each constant rate; the rate it finds is confirmed over the whole duration.
    #[arg(long, default_value = "20s", value_parser = time)]
    trial: Duration,
    /// The highest rate that a search tries, events a second at the peak.
    #[arg(long, default_value_t = 1e6)]
    ceiling: f64,
    /// Measures at this constant rate instead of the file's curve, events a second.
    #[arg(long)]
    rate: Option<f64>,
    /// How long is measured, in place of what the file says.
    #[arg(long = "for", value_parser = time)]
    duration: Option<Duration>,
    /// How long the last results may take before they count as lost.
    #[arg(long, default_value = "10s", value_parser = time)]
    patience: Duration,
    /// Folder for the report [default: bench-results/NAME-TIME].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Serves the figures on this address while it runs, as /metrics for Prometheus.
    #[arg(long)]
    metrics: Option<String>,
    /// Fills in `${KEY:-default}` in the workload; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
}

fn time(text: &str) -> Result<Duration, nowcast_bench::Error> {
    nowcast_bench::duration::parse(text)
}

pub async fn run(command: Run) -> Result<()> {
    let text = crate::pipeline::read_text(&command.workload)?;
    let workload = read(&command, &text)?;
    if command.search && workload.slo.is_empty() {
        bail!("--search: needs objectives, such as --slo 'p99<20ms,lag<5s'");
    }
    tokio::select! {
        result = measure(&command, text, workload) => result,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            bail!("interrupted: nothing was written")
        }
    }
}

/// The workload with what the command line says otherwise.
fn read(command: &Run, text: &str) -> Result<Workload> {
    let sets = crate::options::sets(&command.sets)?;
    let filled = nowcast_planner::substitute(text, &sets, |name| std::env::var(name).ok());
    let filled =
        filled.map_err(|error| anyhow::anyhow!("{}: {error}", command.workload.display()))?;
    let mut workload = Workload::parse(&command.workload, &filled)?;
    if let Some(slo) = &command.slo {
        workload.slo = Slo::parse_list(slo)?;
    }
    if let Some(per_s) = command.rate {
        Curve::constant(per_s)?;
        workload.rate = Rate::Constant { per_s };
    }
    if let Some(duration) = command.duration {
        workload.duration = duration;
    }
    Ok(workload)
}

async fn measure(command: &Run, text: String, workload: Workload) -> Result<()> {
    let live = Live::start(command.metrics.as_deref()).await?;
    let out = record::folder(command.out.as_deref(), &workload.name)?;
    let (broker, bootstrap) = match workload.input.bootstrap == EMBEDDED {
        true => {
            let broker = start_broker(&out.join("broker"), "127.0.0.1:0").await?;
            let address = broker.address().to_string();
            (Some(broker), address)
        }
        false => (None, workload.input.bootstrap.clone()),
    };
    let own_name = || format!("nowcast-bench-{}", uuid::Uuid::new_v4());
    let topic = workload.input.topic.clone().unwrap_or_else(own_name);
    let partitions = i32::try_from(workload.input.partitions)?;
    ensure_topic(&bootstrap, &topic, partitions).await?;
    if let Output::Kafka { bootstrap: None, topic, .. } = &workload.output {
        ensure_topic(&bootstrap, topic, partitions).await?;
    }
    let here = command.workload.parent().filter(|parent| !parent.as_os_str().is_empty());
    let here = here.unwrap_or(std::path::Path::new("."));
    let places = Places { bootstrap: &bootstrap, topic: &topic, here, out: &out };
    let mut system = System::start(&workload.system, places).await?;
    let workload = Arc::new(workload);
    let mut setting = Setting {
        workload: Arc::clone(&workload),
        bootstrap,
        topic,
        system: &mut system,
        patience: command.patience,
        live: &live,
        bar: bar(),
    };
    let found = match command.search {
        true => search(command, &mut setting).await,
        false => once(&mut setting).await,
    };
    setting.bar.finish_and_clear();
    let origin = Origin { text, bootstrap: setting.bootstrap, topic: setting.topic };
    system.stop().await?;
    if let Some(broker) = broker {
        broker.shutdown().await;
        // What cannot be removed is left to whoever clears the folder of results.
        let _ = std::fs::remove_dir_all(out.join("broker"));
    }
    let found = found?;
    let run = record::record(&workload, &origin, &found)?;
    record::write(&out, &run, &found.outcome)?;
    say(&run, &out);
    match run.passed() {
        true => Ok(()),
        false => Err(Missed.into()),
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(1);
    let style = ProgressStyle::with_template("{prefix} [{bar:24}] {percent}% {msg}");
    bar.set_style(style.expect("the template is a constant"));
    bar
}

/// What a command has found: the run that its report is about.
pub struct Found {
    pub curve: Curve,
    pub warm_up: Duration,
    pub duration: Duration,
    pub outcome: Outcome,
    pub verdicts: Vec<Verdict>,
    pub trials: Vec<nowcast_bench::run::Trial>,
    pub sustainable_per_s: Option<f64>,
}

async fn once(setting: &mut Setting<'_>) -> Result<Found> {
    let workload = Arc::clone(&setting.workload);
    let (curve, warm_up, duration) = (workload.curve()?, workload.warm_up, workload.duration);
    setting.bar.set_length((warm_up + duration).as_millis() as u64);
    let outcome = trial::run(setting, curve.clone(), warm_up, duration).await?;
    let verdicts = judge(&workload.slo, &outcome);
    let (trials, sustainable_per_s) = (vec![], None);
    Ok(Found { curve, warm_up, duration, outcome, verdicts, trials, sustainable_per_s })
}

fn judge(slos: &[Slo], outcome: &Outcome) -> Vec<Verdict> {
    let measured = slo::Outcome { latencies: &outcome.latencies, lag_max: Some(outcome.lag_max) };
    slos.iter().map(|slo| slo.judge(&measured)).collect()
}

/// Tries rates until one is confirmed. Where none is, the report is about the last that was tried.
async fn search(command: &Run, setting: &mut Setting<'_>) -> Result<Found> {
    let workload = Arc::clone(&setting.workload);
    let whole = workload.warm_up + workload.duration;
    let peak = workload.curve()?.peak_per_s(whole);
    // A constant rate shows soon what it does; a shape has to be seen whole.
    let short = match workload.rate {
        Rate::Constant { .. } => command.trial.min(workload.duration),
        _ => workload.duration,
    };
    let mut search = Search::new(peak.min(command.ceiling), command.ceiling, RESOLUTION);
    let mut trials = vec![];
    loop {
        let (per_s, duration) = match search.next() {
            Step::Try(per_s) => (per_s, short),
            Step::Confirm(per_s) => (per_s, workload.duration),
            Step::Found(_) => bail!("no rate holds the objectives: {}", last(&trials)),
        };
        let warm_up = workload.warm_up.min(duration / 4);
        let curve = Workload { warm_up, ..(*workload).clone() }.curve()?.times(per_s / peak)?;
        setting.bar.set_length((warm_up + duration).as_millis() as u64);
        setting.bar.set_prefix(format!("{per_s:.0}/s"));
        let outcome = trial::run(setting, curve.clone(), warm_up, duration).await?;
        let verdicts = judge(&workload.slo, &outcome);
        let reason = reason(&outcome, &verdicts);
        let trial = nowcast_bench::run::Trial {
            per_s,
            passed: reason.is_empty(),
            p99_us: outcome.latencies.percentile_us(99.0),
            lag_max_s: outcome.lag_max.as_secs_f64(),
            reason,
        };
        setting.bar.suspend(|| say_trial(&trial));
        let found = search.record(trial.passed);
        let is_last = matches!(search.next(), Step::Found(_));
        trials.push(trial);
        if found.is_some() || is_last {
            let sustainable_per_s = found;
            return Ok(Found {
                curve,
                warm_up,
                duration,
                outcome,
                verdicts,
                trials,
                sustainable_per_s,
            });
        }
        settle(setting, outcome.counts.lost.unwrap_or(0)).await?;
    }
}

/// Why a trial did not hold; empty if it did.
fn reason(outcome: &Outcome, verdicts: &[Verdict]) -> String {
    let mut reasons: Vec<String> = verdicts
        .iter()
        .filter(|verdict| !verdict.passed)
        .map(|verdict| verdict.slo.clone())
        .collect();
    if let Some(lost) = outcome.counts.lost.filter(|lost| *lost > 0) {
        reasons.push(format!("{lost} results did not come in time"));
    }
    if outcome.saturated {
        reasons.push("the generator was saturated".into());
    }
    reasons.join(", ")
}

/// Waits until the system is done with the events of a trial that was too much: until it answers a second of a few events.
async fn settle(setting: &mut Setting<'_>, lost: u64) -> Result<()> {
    if lost == 0 {
        return Ok(());
    }
    for _ in 0..SETTLE {
        setting.bar.set_prefix("settling");
        let outcome =
            trial::run(setting, Curve::constant(50.0)?, Duration::ZERO, Duration::from_secs(1))
                .await?;
        if outcome.counts.lost.unwrap_or(0) == 0 {
            return Ok(());
        }
    }
    bail!("the system has not worked off what a trial has sent it: its results may not come at all")
}

fn last(trials: &[nowcast_bench::run::Trial]) -> String {
    trials.last().map_or(String::new(), |trial| format!("at {:.0}/s {}", trial.per_s, trial.reason))
}

fn say_trial(trial: &nowcast_bench::run::Trial) {
    let p99_ms = trial.p99_us as f64 / 1e3;
    match trial.passed {
        true => say!("{:>12.0}/s  p99 {p99_ms:.3} ms  holds", trial.per_s),
        false => say!("{:>12.0}/s  p99 {p99_ms:.3} ms  {}", trial.per_s, trial.reason),
    }
}

fn say(run: &Record, out: &std::path::Path) {
    say!("{}", run.latency);
    let counts = &run.counts;
    let lost = counts.lost.map_or("not counted".into(), |lost| lost.to_string());
    say!(
        "{} sent ({:.0}/s asked for), {} results, {lost} lost, {} twice; worst lag {:.3} s",
        counts.sent,
        run.mean_per_s,
        counts.results,
        counts.duplicates,
        run.lag_max_s
    );
    if let Some(system) = &run.system {
        say!(
            "system: {:.3} CPU-s per million events, {:.0} MiB at most",
            system.cpu_s_per_million_events,
            system.rss_peak_bytes as f64 / f64::from(1 << 20)
        );
    }
    if let Some(rate) = run.sustainable_per_s {
        say!("highest sustainable rate: {rate:.0} events/s");
    }
    for verdict in &run.verdicts {
        say!("{verdict}");
    }
    for warning in &run.warnings {
        say!("warning: {warning}");
    }
    say!("report: {}", out.join("report.html").display());
}
