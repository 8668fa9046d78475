//! What a run leaves behind: a folder with its report, its figures and its histograms.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use nowcast_bench::histogram::write_hlog;
use nowcast_bench::report;
use nowcast_bench::run::{Machine, Run};
use nowcast_bench::workload::{Output, Workload};

use super::run::Found;
use super::trial::{Outcome, rfc3339};

/// Where the events came from.
pub struct Origin {
    /// The workload file, before variables are filled in: they may be secrets.
    pub text: String,
    pub bootstrap: String,
    pub topic: String,
}

/// Makes the folder for a run's files.
pub fn folder(given: Option<&Path>, name: &str) -> Result<PathBuf> {
    let folder = match given {
        Some(folder) => folder.to_owned(),
        None => {
            let safe = |letter: char| if letter.is_alphanumeric() { letter } else { '-' };
            let name: String = name.chars().map(safe).collect();
            let time = rfc3339(SystemTime::now())?.replace([':', '-'], "");
            Path::new("bench-results").join(format!("{name}-{time}"))
        }
    };
    fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    Ok(folder)
}

pub fn record(workload: &Workload, origin: &Origin, found: &Found) -> Result<Run> {
    let outcome = &found.outcome;
    let end = found.warm_up + found.duration;
    let (before, all) = (found.curve.due_by(found.warm_up), found.curve.due_by(end));
    Ok(Run {
        name: workload.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        started: rfc3339(outcome.started)?,
        machine: machine(),
        input: format!("kafka topic {} on {}", origin.topic, origin.bootstrap),
        output: output(&workload.output),
        seed: workload.seed,
        threads: workload.threads,
        partitions: workload.input.partitions,
        warm_up_s: found.warm_up.as_secs_f64(),
        duration_s: found.duration.as_secs_f64(),
        mean_per_s: all.saturating_sub(before) as f64 / found.duration.as_secs_f64(),
        peak_per_s: found.curve.peak_per_s(end),
        message_bytes_mean: outcome.bytes as f64 / outcome.counts.sent.max(1) as f64,
        counts: outcome.counts,
        latency: outcome.latencies.summary(),
        publish: outcome.publish.summary(),
        slip: outcome.slip.summary(),
        percentiles: outcome.latencies.percentiles(),
        lag_max_s: outcome.lag_max.as_secs_f64(),
        drain_s: outcome.drain.as_secs_f64(),
        system: outcome.system,
        verdicts: found.verdicts.clone(),
        workload: origin.text.clone(),
        warnings: outcome.warnings.clone(),
        samples: outcome.samples.clone(),
        trials: found.trials.clone(),
        sustainable_per_s: found.sustainable_per_s,
    })
}

fn output(output: &Output) -> String {
    // Passwords in addresses stay out of reports.
    let hidden = |url: &str| match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}://{}", &url[..scheme], &url[at + 1..])
        }
        _ => url.to_owned(),
    };
    match output {
        Output::Kafka { topic, .. } => format!("kafka topic {topic}"),
        Output::Redis { url, key, .. } => format!("redis {} {key}", hidden(url)),
        Output::Http { url, .. } => format!("GET {}", hidden(url)),
        Output::Sse { url, .. } => format!("feed {}", hidden(url)),
    }
}

/// What Linux says of the machine; what it does not say is left empty.
fn machine() -> Machine {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let memory = field(&file("/proc/meminfo"), "MemTotal");
    let kib = memory.and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok());
    Machine {
        cpu: field(&file("/proc/cpuinfo"), "model name").unwrap_or_default(),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory_bytes: kib.unwrap_or(0) * 1024,
        kernel: format!("Linux {}", file("/proc/sys/kernel/osrelease").trim()),
    }
}

/// Writes `run.json`, `report.html`, `latency.hgrm` and `latency.hlog`.
pub fn write(folder: &Path, run: &Run, outcome: &Outcome) -> Result<()> {
    let create = |name: &str| {
        let path = folder.join(name);
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        anyhow::Ok(BufWriter::new(file))
    };
    serde_json::to_writer_pretty(create("run.json")?, &run.to_json())?;
    fs::write(folder.join("report.html"), report::html(run)?)?;
    outcome.latencies.write_hgrm(&mut create("latency.hgrm")?)?;
    write_hlog(&mut create("latency.hlog")?, outcome.started, &outcome.intervals)?;
    Ok(())
}
